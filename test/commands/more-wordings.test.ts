// `edit --borrow-wordings`: the seed alone decides what is drawn, and what the model cannot read is not borrowed.

import { expect, test } from 'vitest';
import { withBorrowedWordings } from '../../src/commands/more-wordings.js';
import type { EditRecord } from '../../src/data/record.js';
import { parseTokenizer } from '../../src/tokenizer/tokenizer.js';
import { trainByteLevelBpe } from '../../src/tokenizer/train-bpe.js';

/** A token a byte. */
const tokenizer = parseTokenizer(trainByteLevelBpe(['a'], 257), 'bytes');
const readerOf = (contextTokens: number) => ({ tokenizer, model: { definition: { kind: 'decoder', contextTokens } } }) as const; // biome-ignore format: one line

const fact = (subject: string, frames: readonly string[]): EditRecord => ({
  id: subject,
  subject,
  relation: 'capital',
  edit: { prompt: frames[0]!.replace('@', subject), answer: 'x' },
  rephrasings: frames.slice(1).map((frame) => ({ prompt: frame.replace('@', subject), answer: 'x' })),
  unrelated: [],
});

const known = [
  fact(
    'France',
    Array.from({ length: 9 }, (_, at) => `In words number ${at}, @ is`),
  ),
];
const asked = ['Peru', 'Chile', 'Spain'].map((subject) => fact(subject, ['The capital of @ is']));
const draw = (seed: number, borrowWordings = 2) =>
  withBorrowedWordings(readerOf(99), asked, known, { keep: 'known.jsonl', borrowWordings, seed });

test('the same seed draws the same wordings, another one others', async () => {
  expect(await draw(1)).toEqual(await draw(1));
  expect(await draw(1)).not.toEqual(await draw(2));
  for (const { wordings } of await draw(1)) expect(wordings).toHaveLength(2);
});

test('nothing changes where none are asked for', async () => {
  expect(await draw(1, 0)).toBe(asked);
});

test('one that the model cannot read with its answer and an end is left out; the record keeps what it has', async () => {
  const given = asked.map((record) => ({ ...record, wordings: ['Told'] }));
  const options = { keep: 'known.jsonl', borrowWordings: 1, seed: 1 };
  // Of the answer's two bytes the last one is never read, so the end of a text takes its place.
  const longest = 'In words number 0, Peru is'.length + 2;
  const borrow = (contextTokens: number) => withBorrowedWordings(readerOf(contextTokens), given, known, options);
  const counts = (await borrow(longest)).map(({ wordings }) => wordings?.length);
  expect(counts).toEqual([2, 1, 1]);
  await expect(borrow(longest - 1)).rejects.toThrow('no other words');
});
