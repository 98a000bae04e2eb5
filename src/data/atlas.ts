// Edit records from atlas: a fact in one trained phrasing with another object of its relation, rephrased by the other trained
// phrasings or by those that are held out.

import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { MalmenError } from '../errors.js';
import { Random } from '../util/random.js';
import { type AtlasFact, type AtlasRelation, promptOf, readAtlasRelations } from './atlas-tables.js';
import type { EditRecord, Example } from './record.js';
import type { PlacedRecord, RecordReader } from './record-reader.js';

/** The tables that come with malmen. */
export const atlasFolder = fileURLToPath(new URL('../../data/atlas', import.meta.url));

/** One fact in so many is never edited. */
const reservedShare = 6;

/** Which phrasings a record's rephrasings are. */
export type RephrasedBy = 'trained' | 'heldOut';

interface AtlasOptions {
  readonly rephrasedBy: RephrasedBy;
  /** Of the order, the edit's phrasing and the new objects. Which facts are reserved does not depend on it. */
  readonly seed?: number;
}

/** Rephrasings are the other trained phrasings: what `fit` teaches and `train` learns with. */
export const readAtlas = readerOf('trained');

/** The same records in the same order, but for their rephrasings, which are held out: what an edit is judged by. */
export const readAtlasHeldOut = readerOf('heldOut');

function readerOf(rephrasedBy: RephrasedBy): RecordReader {
  return async function* (source): AsyncGenerator<PlacedRecord> {
    for (const record of atlasRecords(await readAtlasRelations(source), { rephrasedBy }))
      yield { where: `${source.path}: record ${record.id}`, record };
  };
}

/** Shuffled, so that a slice mixes the relations. */
export function atlasRecords(
  relations: readonly AtlasRelation[],
  { rephrasedBy, seed = 0 }: AtlasOptions,
): EditRecord[] {
  const truths = trueAnswers(relations);
  const groups = new Map(relations.map((group) => [group.relation, { group, neighbors: new Neighbors(group) }]));
  const editable = Random.stream(seed, 'atlas order').shuffle(relations.flatMap(editableFacts));
  return editable.map((fact) => {
    const { group, neighbors } = groups.get(fact.relation)!;
    return makeRecord(fact, group, { rephrasedBy, seed, truths, unrelated: neighbors.deal() });
  });
}

/** Facts of a relation that are never edited: one in six, at least one, chosen by a hash of the facts themselves. */
export function reservedFacts({ facts }: AtlasRelation): AtlasFact[] {
  const hashes = new Map(facts.map((fact) => [fact, hashOf(fact)]));
  const sorted = facts.toSorted((a, b) => (hashes.get(a)! < hashes.get(b)! ? -1 : 1));
  return sorted.slice(0, Math.ceil(facts.length / reservedShare));
}

const hashOf = ({ relation, subject }: AtlasFact) =>
  createHash('sha256').update(`${relation}\n${subject}`).digest('hex');

function editableFacts(group: AtlasRelation): AtlasFact[] {
  const reserved = new Set(reservedFacts(group));
  return group.facts.filter((fact) => !reserved.has(fact));
}

/** Everything that is true of a subject, in whatever relation. */
function trueAnswers(relations: readonly AtlasRelation[]): Map<string, Set<string>> {
  const answers = new Map<string, Set<string>>();
  for (const { subject, object, alsoTrue } of relations.flatMap(({ facts }) => facts)) {
    const known = answers.get(subject) ?? new Set();
    for (const answer of [object, ...alsoTrue]) known.add(answer);
    answers.set(subject, known);
  }
  return answers;
}

/**
 * Deals a relation's reserved facts, one after the other and each in all trained phrasings, evenly over the records. All records
 * together ask for all of them, which is how a language model is taught them; slices that lie apart share none, but for
 * the one at the cut: an editor is not judged by the neighbours that it was trained to spare.
 */
class Neighbors {
  readonly #deck: readonly Example[];
  readonly #records: number;
  #dealt = 0;

  constructor(group: AtlasRelation) {
    const reserved = reservedFacts(group);
    this.#records = group.facts.length - reserved.length;
    this.#deck = reserved.flatMap((fact) => group.trained.map((phrasing) => truthOf(phrasing, fact)));
  }

  /** For the next record; at least one. */
  deal(): readonly Example[] {
    const first = this.#cut(this.#dealt++);
    return this.#deck.slice(first, Math.max(first + 1, this.#cut(this.#dealt)));
  }

  #cut(record: number): number {
    return Math.floor((record * this.#deck.length) / this.#records);
  }
}

const truthOf = (phrasing: string, fact: AtlasFact): Example => ({
  prompt: promptOf(phrasing, fact),
  answer: fact.object,
});

interface RecordParts {
  readonly rephrasedBy: RephrasedBy;
  readonly seed: number;
  readonly truths: ReadonlyMap<string, ReadonlySet<string>>;
  readonly unrelated: readonly Example[];
}

/** Draws of its own for each fact: they do not change when other subjects come or go. */
function makeRecord(fact: AtlasFact, group: AtlasRelation, parts: RecordParts): EditRecord {
  const random = Random.stream(parts.seed, `${fact.relation}\n${fact.subject}`);
  const answer = random.pick(newObjects(fact, group, parts.truths));
  const [edited, ...others] = random.shuffle(group.trained);
  const inOtherWords = parts.rephrasedBy === 'trained' ? others : group.heldOut;
  const asked = (phrasing: string): Example => ({ prompt: promptOf(phrasing, fact), answer });
  return {
    id: `atlas:${fact.relation}:${fact.subject}`,
    subject: fact.subject,
    relation: fact.relation,
    was: fact.object,
    edit: asked(edited!),
    rephrasings: inOtherWords.map(asked),
    unrelated: parts.unrelated,
  };
}

/** Other objects of the relation that are not true of the subject in any table. */
function newObjects(
  fact: AtlasFact,
  { facts }: AtlasRelation,
  truths: ReadonlyMap<string, ReadonlySet<string>>,
): string[] {
  const known = truths.get(fact.subject)!;
  const others = [...new Set(facts.map(({ object }) => object))].filter((object) => !known.has(object));
  if (others.length > 0) return others;
  const { relation, subject } = fact;
  const problem = `every answer of relation '${relation}' is true of '${subject}', so there is none to edit to`;
  throw new MalmenError('bad-input', `${problem}; give the relation more facts, or leave this one out`);
}
