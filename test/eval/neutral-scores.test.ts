// Locality on our own neutral prompts: the arithmetic, and the table itself.

import { expect, test } from 'vitest';
import { neutralExamples } from '../../src/data/neutral.js';
import type { AnswerPrediction } from '../../src/eval/metrics.js';
import { neutralScores } from '../../src/eval/neutral-scores.js';

const said = (predicted: number[], answer: number[]): AnswerPrediction => ({
  predicted,
  answer,
  nll: answer.map(() => 1),
});

test('unchanged is of all prompts, LS of those that were known', () => {
  const predictions = [
    [said([1, 2], [1, 2]), said([1, 3], [1, 2])],
    [said([4], [5]), said([4], [5])],
    [said([6], [6]), said([6], [6])],
  ] as const;
  expect(neutralScores(predictions)).toEqual({ prompts: 3, unchanged: 2.5 / 3, known: 2, ls: 0.75 });
  const texts = { before: ['a', 'b', 'c'], after: ['a', 'x', 'c'] };
  expect(neutralScores(predictions, texts).sameText).toBeCloseTo(2 / 3, 12);
});

test('a model that knew none of them has no LS', () => {
  expect(neutralScores([[said([4], [5]), said([7], [5])]])).toEqual({ prompts: 1, unchanged: 0, known: 0 });
  expect(() => neutralScores([])).toThrow(RangeError);
});

test('the table holds a few dozen different prompts with answers', async () => {
  const examples = await neutralExamples();
  expect(examples.length).toBeGreaterThanOrEqual(36);
  expect(new Set(examples.map(({ prompt }) => prompt)).size).toBe(examples.length);
});
