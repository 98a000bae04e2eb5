// Facts of ParaRel for a model that is fitted in minutes: the first records, whose unrelated prompts come from few facts, and
// these facts themselves in every phrasing at the end of the file. A model that knows what must not change only in one phrasing
// says little about locality.
//
//   npx tsx bench/small-pararel.ts --pararel FOLDER --facts 1100 --known 6 --out FILE.jsonl

import { parseArgs } from 'node:util';
import { pararelCorpus } from '../src/data/pararel.js';
import { type Fact, type FactGroup, promptOf, readFactGroups } from '../src/data/pararel-facts.js';
import { Problems } from '../src/data/problems.js';
import type { EditRecord } from '../src/data/record.js';
import { writeFileAtomic } from '../src/util/atomic-file.js';
import { Random } from '../src/util/random.js';

const { values: options } = parseArgs({
  options: {
    pararel: { type: 'string' },
    facts: { type: 'string', default: '1100' },
    // Facts of each relation that are never edited.
    known: { type: 'string', default: '6' },
    // Of the records, how many (the first) are there to be edited: what they must leave alone is unknown to the others, which
    // an editor learns from. Default: all share theirs.
    edited: { type: 'string' },
    out: { type: 'string' },
  },
});

const { records, reserved } = await pararelCorpus(options.pararel!);
const groups = await readFactGroups({ path: options.pararel!, problems: new Problems(), signal: undefined });
const patternsOf = new Map(groups.map(({ relation, patterns }: FactGroup) => [relation, patterns]));
const knownIn = (relation: string) =>
  reserved.filter((fact) => fact.relation === relation).slice(0, Number(options.known));
const known = new Map(groups.map(({ relation }) => [relation, knownIn(relation)]));

/** The facts that a record must leave alone come from these. */
function knownBeside({ relation }: EditRecord, at: number): readonly Fact[] {
  const facts = known.get(relation!) ?? [];
  if (options.edited === undefined) return facts;
  const half = Math.ceil(facts.length / 2);
  return at < Number(options.edited) ? facts.slice(0, half) : facts.slice(half);
}

function withKnown(record: EditRecord, at: number): EditRecord {
  const random = Random.stream(0, `known beside ${record.id}`);
  const facts = knownBeside(record, at);
  if (facts.length === 0) return { ...record, unrelated: [] };
  const fact = random.pick(facts);
  const prompt = promptOf(random.pick(patternsOf.get(fact.relation)!), fact);
  return { ...record, unrelated: [{ prompt, answer: fact.object }] };
}

function asRecord(fact: Fact): EditRecord {
  const examples = patternsOf.get(fact.relation)!.map((pattern) => ({
    prompt: promptOf(pattern, fact),
    answer: fact.object,
  }));
  const [edit, ...rephrasings] = examples;
  const id = `known ${fact.relation}:${fact.subject}`;
  return { id, subject: fact.subject, relation: fact.relation, edit: edit!, rephrasings, unrelated: [] };
}

const chosen = records.slice(0, Number(options.facts)).map(withKnown);
const relations = new Set(chosen.map(({ relation }) => relation));
const beside = [...known.values()].flat().filter(({ relation }) => relations.has(relation));
const lines = [...chosen, ...beside.map(asRecord)].map((record) => `${JSON.stringify(record)}\n`);
await writeFileAtomic(options.out!, lines.join(''));
console.log(`${chosen.length} facts to edit, ${beside.length} to leave alone: ${options.out}`);
