// Running statistics in the saved state of a training: as they were to the last bit, or refused in a sentence.

import { expect, test } from 'vitest';
import { momentsToSave, savedMoments } from '../../src/commands/training-state.js';
import { RunningMoments } from '../../src/editors/running-moments.js';
import { MalmenError } from '../../src/errors.js';

const moments = [0.1, 1 / 3].map((value, at) =>
  RunningMoments.from({ count: 7 + at, mean: [value, -value], squares: [value ** 2, 3 * value] }),
);
const state = { step: 1, tensors: new Map(), doubles: new Map([...momentsToSave(0, moments)]) };

test('come back as they were, in order', () => {
  expect(savedMoments(state, 0, 2)).toEqual(moments);
});

test.each([
  ['of another network', state, 1, 2],
  ['of fewer layers', state, 0, 3],
  ['without any', { step: 1, tensors: new Map() }, 0, 1],
])('%s are refused', (_, saved, network, count) => {
  expect(() => savedMoments(saved, network, count)).toThrow(MalmenError);
  expect(() => savedMoments(saved, network, count)).toThrow(/moments\.\d\.\d\.mean.*--force/);
});
