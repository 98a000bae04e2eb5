// Facts whose prompts and answers have exactly so many tokens, for measuring what an edit takes: words drawn from a tokenizer's
// vocabulary, a prompt, a rephrasing and an unrelated prompt each. Nothing that a model could know.
//
//   npx tsx bench/facts-of-length.ts --model FOLDER --facts 8392 --prompt 22 --answer 3 --out FILE.jsonl

import { parseArgs } from 'node:util';
import type { EditRecord } from '../src/data/record.js';
import { openTokenizer, type Tokenizer } from '../src/tokenizer/tokenizer.js';
import { writeFileAtomic } from '../src/util/atomic-file.js';
import { Random } from '../src/util/random.js';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string' },
    facts: { type: 'string', default: '8392' },
    prompt: { type: 'string', default: '22' },
    answer: { type: 'string', default: '3' },
    out: { type: 'string' },
  },
});

const facts = Number(options.facts);
const tokenizer = await openTokenizer(options.model!);
const random = Random.stream(0, 'facts of length');
const every = await tokenizer.decode(Array.from({ length: tokenizer.vocabularySize }, (_, id) => [id]));
// A space and small letters: most of these are one token wherever they follow another.
const words = every.filter((text) => /^ [a-z]{3,}$/.test(text));

/** Texts of exactly so many tokens. */
async function texts(count: number, tokens: number, encode: Tokenizer['encode']): Promise<string[]> {
  const found: string[] = [];
  while (found.length < count) {
    const drawn = Array.from({ length: count }, () => Array.from({ length: tokens }, () => random.pick(words)).join('').trim()); // biome-ignore format: one line
    const ids = await encode(drawn);
    const exact = drawn.filter((_, at) => ids[at]!.length === tokens);
    if (exact.length === 0) throw new Error(`none of ${count} texts of ${tokens} words has ${tokens} tokens`);
    found.push(...exact);
  }
  return found.slice(0, count);
}

const prompts = () => texts(facts, Number(options.prompt), tokenizer.encodePrompts);
const answers = () => texts(facts, Number(options.answer), tokenizer.encodeAnswers);
const [edits, rephrasings, unrelated] = [await prompts(), await prompts(), await prompts()];
const [told, kept] = [await answers(), await answers()];

const record = (prompt: string, at: number): EditRecord => ({
  id: `fact-${at}`,
  edit: { prompt, answer: told[at]! },
  rephrasings: [{ prompt: rephrasings[at]!, answer: told[at]! }],
  unrelated: [{ prompt: unrelated[at]!, answer: kept[at]! }],
});

const records = edits.map(record);
await writeFileAtomic(options.out!, records.map((one) => `${JSON.stringify(one)}\n`).join(''));
console.log(`${records.length} facts over ${words.length} words: ${options.out}`);
