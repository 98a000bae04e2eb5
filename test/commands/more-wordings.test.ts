// `edit --borrow-wordings`: the seed alone decides what is drawn.

import { expect, test } from 'vitest';
import { withBorrowedWordings } from '../../src/commands/more-wordings.js';
import type { EditRecord } from '../../src/data/record.js';

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
  withBorrowedWordings(asked, known, { keep: 'known.jsonl', borrowWordings, seed });

test('the same seed draws the same wordings, another one others', () => {
  expect(draw(1)).toEqual(draw(1));
  expect(draw(1)).not.toEqual(draw(2));
  for (const { wordings } of draw(1)) expect(wordings).toHaveLength(2);
});

test('nothing changes where none are asked for', () => {
  expect(draw(1, 0)).toBe(asked);
});
