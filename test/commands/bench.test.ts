// What `malmen bench` measures runs on every kind of model. Speed itself is never asserted.

import { expect, test } from 'vitest';
import { bench } from '../../src/commands/bench.js';
import { benchOptions } from '../../src/commands/options.js';
import { goldenModels } from '../parity/golden-folder.js';
import { collecting } from './tiny-world.js';

const models = goldenModels().filter(({ supported }) => supported);
const cases = models.flatMap(({ name, folder }) => (['edit', 'step'] as const).map((what) => ({ name, folder, what })));

test.each(cases)('$what of $name', async ({ folder, what }) => {
  const size = { edits: 5, tokens: 6, answerTokens: 1, rank: 4, batch: 2, repeats: 1, warmUp: false };
  const result = await bench(benchOptions.parse({ what, model: folder, ...size }), collecting());
  expect(result.seconds).toBeGreaterThan(0);
  expect(result.flops).toBeGreaterThan(0);
  expect(result.peakRssBytes).toBeGreaterThan(0);
  if (what === 'step') expect(Object.keys(result.stages)).toContain('locality');
});
