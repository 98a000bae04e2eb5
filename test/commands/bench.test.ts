// What `malmen bench` measures runs on every kind of model. Speed itself is never asserted.

import { expect, test } from 'vitest';
import { bench } from '../../src/commands/bench.js';
import { benchOptions } from '../../src/commands/options.js';
import { LanguageModel } from '../../src/engine/language-model.js';
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

const encoderDecoders = models.filter(({ kind }) => kind === 'encoder-decoder');

test.each(encoderDecoders)(
  'the floor of $name takes rows from all five tokens of the encoder, two of the decoder',
  async ({ folder }) => {
    const size = { edits: 4, tokens: 6, answerTokens: 2, blocks: 3, repeats: 1, warmUp: false };
    const flopsOf = async (rank: number) =>
      (await bench(benchOptions.parse({ what: 'edit', model: folder, ...size, rank }), collecting())).flops;
    const model = await LanguageModel.open(folder);
    const perRank = model.layers().map(({ name, keySize, valueSize }) => {
      const rows = 4 * (name.startsWith('encoder.') ? 5 : 2);
      return 2 * rows * 3 * 2 * (keySize + valueSize);
    });
    await model.close();
    expect((await flopsOf(8)) - (await flopsOf(7))).toBe(perRank.reduce((sum, flops) => sum + flops, 0));
  },
);

test.each(encoderDecoders)(
  'in $name the keys and values that a decoder takes of the encoder have a row for each of its tokens',
  async ({ folder }) => {
    const model = await LanguageModel.open(folder);
    const { layers } = model.definition;
    await model.close();
    const [last] = layers.filter(({ name }) => name.endsWith('.wo')).slice(-1);
    const flopsOf = async (tokens: number) => {
      const size = { edits: 1, tokens, answerTokens: 2, rank: 1, repeats: 1, warmUp: false, layers: [last!.name] };
      return (await bench(benchOptions.parse({ what: 'edit', model: folder, ...size }), collecting())).flops;
    };
    // One token more in the encoder goes through its own matrices and those that look at it, forward; the only edited layer is the last.
    const looks = ({ name }: { name: string }) => /^encoder\.|EncDecAttention\.[kv]$/.test(name);
    const read = layers.filter(looks).reduce((sum, { keySize, valueSize }) => sum + keySize * valueSize, 0);
    expect((await flopsOf(7)) - (await flopsOf(6))).toBeCloseTo(2 * read, 3);
  },
);
