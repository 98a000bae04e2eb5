// Floors are what a pencil counts: a job so small that every product can be written down.

import { expect, test } from 'vitest';
import { editFlops, shiftFlops, trainingStepFlops } from '../../src/commands/bench/floor.js';

// Two sequences of five tokens, two of them answers; matrices of 30 parameters below the first edited layer, 20 from it on, 6 edited.
const lm = { edits: 2, tokens: 5, answerTokens: 2, capturedTokens: 2, frozen: 30, live: 20, head: 7, edited: 6 };
const edit = { keySize: 3, valueSize: 2, rows: 4, network: 11 };

/** K^T K 4 x 3 x 3, its factor 3^3 / 3, two triangles 3 x 3 for 2 columns, K^T D of 4 rows. */
const shift = 36 + 9 + 2 * 9 * 2 + 2 * 4 * 3 * 2;

test('the shift of four rows, key size 3', () => {
  expect(shiftFlops(edit)).toBe(shift);
});

test('an edit: ten tokens forward, four of them back', () => {
  const model = 2 * 10 * (30 + 20) + 2 * 4 * 20;
  const head = 2 * 4 * 7 * 2;
  expect(editFlops(lm, [edit])).toBe(model + head + shift + 2 * 4 * 11);
});

test('what an encoder captures goes back through all tokens', () => {
  const more = editFlops({ ...lm, capturedTokens: 5 }, [edit]) - editFlops(lm, [edit]);
  expect(more).toBe(2 * 6 * 20);
  expect(trainingStepFlops({ ...lm, capturedTokens: 5 }, [edit]) - trainingStepFlops(lm, [edit])).toBe(more);
});

test('a training step: forward three and four times, back twice through all tokens and once through the answers', () => {
  const model = 2 * 10 * (3 * 30 + 4 * 20 + 2 * 20 + 2 * 6) + 2 * 4 * 20;
  const head = 2 * 4 * 7 * 7;
  const solve = 36 + 9 + 2 * (2 * 9 * 2) + 2 * (2 * 4 * 3 * 2);
  expect(trainingStepFlops(lm, [edit])).toBe(model + head + solve + 2 * 4 * 11 * 4);
});

test('layers of other sizes and rows are counted one by one', () => {
  const wider = { keySize: 5, valueSize: 3, rows: 7, network: 13 };
  const more = editFlops(lm, [edit, wider]) - editFlops(lm, [edit]);
  expect(more).toBeCloseTo(7 * 5 * 5 + 5 ** 3 / 3 + 2 * 5 * 5 * 3 + 2 * 7 * 5 * 3 + 2 * 7 * 13, 9);
});
