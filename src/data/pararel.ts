// ParaRel (Elazar et al. 2021): facts and the patterns that say them, made into edit records. Every prompt that comes out
// has exactly one true answer.

import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MalmenError } from '../errors.js';
import { Random } from '../util/random.js';
import { readLines } from './json-lines.js';
import { Problems } from './problems.js';
import type { EditRecord, Example } from './record.js';

interface Fact {
  readonly relation: string;
  readonly subject: string;
  readonly object: string;
}

/** Everything that a ParaRel folder gives. */
export interface PararelCorpus {
  readonly records: readonly EditRecord[];
  /** Facts that are never edited; records take their unrelated prompts from them. */
  readonly reserved: readonly Fact[];
  /** Every fact in every pattern of its relation: what a language model is taught. */
  readonly truths: readonly Example[];
}

/** A relation with fewer patterns has nothing to rephrase with, with fewer facts or objects nothing to draw from. */
const least = { patterns: 2, facts: 20, objects: 3 };

/** One fact in so many is never edited. */
const reservedShare = 6;

/** @param folder holds facts.jsonl and patterns.jsonl, each plain or `.gz` */
export async function pararelCorpus(
  folder: string,
  { seed = 0 }: { readonly seed?: number } = {},
): Promise<PararelCorpus> {
  const patterns = decoderPatterns(await readTable(folder, 'patterns', ['relation', 'pattern']));
  const facts = usableFacts(await readTable(folder, 'facts', ['relation', 'sub_label', 'obj_label']), patterns);
  const reserved = facts.filter(isReserved);
  const truths = facts.flatMap((fact) =>
    patterns.get(fact.relation)!.map((pattern) => ({ prompt: fill(pattern, fact), answer: fact.object })),
  );
  return { records: makeRecords(facts, reserved, patterns, seed), reserved, truths };
}

async function readTable(folder: string, name: string, fields: readonly string[]): Promise<Record<string, string>[]> {
  const plain = join(folder, `${name}.jsonl`);
  const packed = `${plain}.gz`;
  const path = (await exists(plain)) ? plain : packed;
  if (!(await exists(path)))
    throw new MalmenError('not-found', `${folder}: expected ${name}.jsonl or ${name}.jsonl.gz of ParaRel`);
  const problems = new Problems(path);
  const rows: Record<string, string>[] = [];
  for await (const { line, text } of readLines(path)) {
    const row = parseRow(text, fields);
    if (typeof row === 'string') problems.add(`:${line}`, row);
    else rows.push(row);
  }
  problems.throwIfAny();
  return rows;
}

/** The row, or what is wrong with it. */
function parseRow(text: string, fields: readonly string[]): Record<string, string> | string {
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch (error) {
    return `not JSON: ${(error as Error).message}`;
  }
  const missing = fields.find((field) => typeof (row as Record<string, unknown> | null)?.[field] !== 'string');
  return missing === undefined ? (row as Record<string, string>) : `${missing}: expected text`;
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Beginnings of the patterns that end in the object, by relation: what follows the object must be at most a full stop. */
function decoderPatterns(rows: readonly Record<string, string>[]): Map<string, string[]> {
  const byRelation = new Map<string, string[]>();
  for (const { relation, pattern } of rows) {
    const beginning = /^(.*\[X\].*)\[Y\]\s*\.?\s*$/.exec(pattern!)?.[1]?.trim();
    const known = byRelation.get(relation!) ?? [];
    if (beginning && !known.includes(beginning)) byRelation.set(relation!, [...known, beginning]);
  }
  return new Map([...byRelation].filter(([, list]) => list.length >= least.patterns));
}

const fill = (pattern: string, { subject }: Fact) => pattern.replace('[X]', subject);

/** One object per subject and relation, and per prompt: of facts that contradict each other the first stays. */
function usableFacts(
  rows: readonly Record<string, string>[],
  patterns: ReadonlyMap<string, readonly string[]>,
): Fact[] {
  const answers = new Map<string, string>();
  const facts: Fact[] = [];
  for (const { relation, sub_label, obj_label } of rows) {
    const fact = { relation: relation!, subject: sub_label!.trim(), object: obj_label!.trim() };
    const prompts = patterns.get(fact.relation)?.map((pattern) => fill(pattern, fact));
    if (!prompts || fact.subject === '' || fact.object === '' || prompts.some((prompt) => answers.has(prompt)))
      continue;
    for (const prompt of prompts) answers.set(prompt, fact.object);
    facts.push(fact);
  }
  const large = new Set([...byRelation(facts)].filter(([, list]) => isLarge(list)).map(([relation]) => relation));
  return facts.filter(({ relation }) => large.has(relation));
}

const isLarge = (facts: readonly Fact[]) =>
  facts.length >= least.facts && new Set(facts.map(({ object }) => object)).size >= least.objects;

function byRelation(facts: readonly Fact[]): Map<string, Fact[]> {
  const groups = new Map<string, Fact[]>();
  for (const fact of facts) groups.set(fact.relation, [...(groups.get(fact.relation) ?? []), fact]);
  return groups;
}

/** By a hash of the fact itself, so that it does not depend on order, slice or seed. */
function isReserved({ relation, subject }: Fact): boolean {
  return createHash('sha256').update(`${relation}\n${subject}`).digest().readUInt32LE(0) % reservedShare === 0;
}

function makeRecords(
  facts: readonly Fact[],
  reserved: readonly Fact[],
  patterns: ReadonlyMap<string, readonly string[]>,
  seed: number,
): EditRecord[] {
  const objects = new Map(
    [...byRelation(facts)].map(([relation, list]) => [relation, [...new Set(list.map(({ object }) => object))]]),
  );
  const pools = byRelation(reserved);
  const editable = facts.filter((fact) => !isReserved(fact));
  return Random.stream(seed, 'pararel order')
    .shuffle(editable)
    .map((fact) => {
      const random = Random.stream(seed, `${fact.relation}\n${fact.subject}`);
      return makeRecord(
        fact,
        patterns.get(fact.relation)!,
        objects.get(fact.relation)!,
        pools.get(fact.relation) ?? [],
        random,
      );
    });
}

function makeRecord(
  fact: Fact,
  patterns: readonly string[],
  objects: readonly string[],
  pool: readonly Fact[],
  random: Random,
): EditRecord {
  const answer = random.pick(objects.filter((object) => object !== fact.object));
  const [first, ...others] = random.shuffle(patterns);
  const edited = (pattern: string) => ({ prompt: fill(pattern, fact), answer });
  const unrelated = pool.length === 0 ? [] : [random.pick(pool)];
  return {
    id: `${fact.relation}:${fact.subject}`,
    subject: fact.subject,
    relation: fact.relation,
    was: fact.object,
    edit: edited(first!),
    rephrasings: others.map(edited),
    unrelated: unrelated.map((other) => ({ prompt: fill(random.pick(patterns), other), answer: other.object })),
  };
}
