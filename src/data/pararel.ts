// ParaRel's facts made into edit records: a fact in one pattern with another object of its relation, rephrased by the other patterns.
// Every prompt that comes out has exactly one true answer.

import { createHash } from 'node:crypto';
import { Random } from '../util/random.js';
import { type Fact, type FactGroup, promptOf, readFactGroups } from './pararel-facts.js';
import { Problems } from './problems.js';
import type { EditRecord, Example } from './record.js';
import type { PlacedRecord, RecordSource } from './record-reader.js';

/** What a relation has, for reports. */
interface PararelRelation {
  readonly relation: string;
  readonly patterns: number;
  /** Different ones. */
  readonly objects: number;
  readonly records: number;
  readonly reserved: number;
}

/** Everything that a ParaRel folder gives. */
export interface PararelCorpus {
  /** Shuffled, so that a slice mixes the relations. */
  readonly records: readonly EditRecord[];
  /** Facts that are never edited; records take their unrelated prompts from them. */
  readonly reserved: readonly Fact[];
  /** Every fact, edited or reserved, in every pattern of its relation: what a language model is taught. */
  readonly truths: readonly Example[];
  readonly relations: readonly PararelRelation[];
}

interface PararelOptions {
  /** Of the order, the patterns and the new objects. Which facts are reserved does not depend on it. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

/** One fact in so many is never edited. */
const reservedShare = 6;

/**
 * @param folder holds facts.jsonl and patterns.jsonl, each plain or `.gz`
 * @throws MalmenError for a missing file, bad lines (all of them listed), or where no relation is large enough
 */
export async function pararelCorpus(folder: string, { seed = 0, signal }: PararelOptions = {}): Promise<PararelCorpus> {
  const problems = new Problems();
  const groups = await readFactGroups({ path: folder, problems, signal });
  problems.throwIfAny();
  return {
    records: makeRecords(groups, seed),
    reserved: groups.flatMap(({ facts }) => facts.filter(isReserved)),
    truths: groups.flatMap(truthsOf),
    relations: groups.map(countsOf),
  };
}

/** The records of a folder, drawn with seed 0. */
export async function* readPararel(source: RecordSource): AsyncGenerator<PlacedRecord> {
  for (const record of makeRecords(await readFactGroups(source), 0))
    yield { where: `${source.path}: record ${record.id}`, record };
}

function truthsOf({ facts, patterns }: FactGroup): Example[] {
  return facts.flatMap((fact) => patterns.map((pattern) => ({ prompt: promptOf(pattern, fact), answer: fact.object })));
}

function countsOf({ relation, patterns, objects, facts }: FactGroup): PararelRelation {
  const reserved = facts.filter(isReserved).length;
  return {
    relation,
    patterns: patterns.length,
    objects: objects.length,
    records: facts.length - reserved,
    reserved,
  };
}

/** By a hash of the fact itself, so that it does not depend on order, slice or seed. */
function isReserved({ relation, subject }: Fact): boolean {
  return createHash('sha256').update(`${relation}\n${subject}`).digest().readUInt32LE(0) % reservedShare === 0;
}

function makeRecords(groups: readonly FactGroup[], seed: number): EditRecord[] {
  const records = groups.flatMap((group) => {
    const reserved = group.facts.filter(isReserved);
    const editable = group.facts.filter((fact) => !isReserved(fact));
    return editable.map((fact) => makeRecord(fact, group, reserved, seed));
  });
  return Random.stream(seed, 'pararel order').shuffle(records);
}

/** Draws of its own for each fact: they do not change when other facts come or go. */
function makeRecord(fact: Fact, group: FactGroup, reserved: readonly Fact[], seed: number): EditRecord {
  const { patterns, objects } = group;
  const random = Random.stream(seed, `${fact.relation}\n${fact.subject}`);
  const answer = random.pick(objects.filter((object) => object !== fact.object));
  const [edited, ...others] = random.shuffle(patterns).map((pattern) => ({ prompt: promptOf(pattern, fact), answer }));
  // A small relation may have no reserved fact; its records then have nothing unrelated.
  const neighbors = reserved.length === 0 ? [] : [random.pick(reserved)];
  return {
    id: `${fact.relation}:${fact.subject}`,
    subject: fact.subject,
    relation: fact.relation,
    was: fact.object,
    edit: edited!,
    rephrasings: others,
    unrelated: neighbors.map((other) => ({ prompt: promptOf(random.pick(patterns), other), answer: other.object })),
  };
}
