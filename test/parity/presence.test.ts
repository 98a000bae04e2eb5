// The parity suite tests what it finds; a folder in which it finds nothing must not pass for tested.

import { expect, it } from 'vitest';
import { goldenPath } from '../data/stored-data.js';
import { editingRuns, forwardRecords, goldenModels, isEmpty } from './golden-folder.js';

it('the golden folder holds numbers to test against', () => {
  expect(isEmpty(), `${goldenPath()} holds no models, forward passes or editing runs`).toBe(false);
});

it('some model of the golden folder is supported', () => {
  const supported = goldenModels().filter((model) => model.supported);
  const used = [...forwardRecords(), ...editingRuns()].filter(({ model }) => model.supported);
  expect(supported.length, 'supported models').toBeGreaterThan(0);
  expect(used.length, 'forward passes and editing runs of supported models').toBeGreaterThan(0);
});
