// What `malmen bench` measures runs on every kind of model. Speed itself is never asserted.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { editFlops } from '../../src/commands/bench/floor.js';
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

describe.each(encoderDecoders)('the floor of an edit of $name', ({ folder }) => {
  let model: LanguageModel;
  beforeAll(async () => {
    model = await LanguageModel.open(folder);
  });
  afterAll(() => model.close());

  const flopsOf = async (layers: readonly string[], tokens = 6) => {
    const size = { edits: 1, tokens, answerTokens: 2, rank: 1, repeats: 1, warmUp: false, layers };
    return (await bench(benchOptions.parse({ what: 'edit', model: folder, ...size }), collecting())).flops;
  };
  const sizeOf = (matches: (name: string) => boolean) =>
    model.definition.layers
      .filter(({ name }) => matches(name))
      .reduce((sum, { keySize, valueSize }) => sum + keySize * valueSize, 0);

  test('a token more of the encoder goes through what reads the encoder, the keys and values that the decoder takes of it too', async () => {
    const last = model.definition.layers.at(-1)!.name;
    const read = sizeOf((name) => /^encoder\.|EncDecAttention\.[kv]$/.test(name));
    expect((await flopsOf([last], 7)) - (await flopsOf([last]))).toBeCloseTo(2 * read, 3);
  });

  test('the way back goes to the first edited layer, whatever the order in which layers are chosen', async () => {
    const { layers } = model.definition;
    const pair = [layers.at(-1)!.name, layers[0]!.name];
    expect(await flopsOf(pair)).toBe(await flopsOf(pair.toReversed()));
    expect(await flopsOf(pair)).toBeGreaterThan(
      (await flopsOf(pair.slice(0, 1))) + 2 * 5 * sizeOf((name) => name.startsWith('encoder.')),
    );
  });
});

const gpt2 = models.filter(({ modelType }) => modelType === 'gpt2');

test.each(gpt2)(
  'the head of $name reads what is as wide as the model, whatever the edited layer gives out',
  async ({ folder }) => {
    const model = await LanguageModel.open(folder);
    const { layers, vocabularySize } = model.definition;
    const [width, wide] = [model.folder.config.n_embd as number, layers.find(({ name }) => name.endsWith('c_attn'))!];
    await model.close();
    const size = { edits: 3, tokens: 6, answerTokens: 2, rank: 5, blocks: 2, repeats: 1, warmUp: false };
    const options = benchOptions.parse({ what: 'edit', model: folder, ...size, layers: [wide.name] });
    const matrices = layers.reduce((sum, { keySize, valueSize }) => sum + keySize * valueSize, 0);
    const edited = wide.keySize * wide.valueSize;
    const network = 2 * 2 * (wide.keySize + wide.valueSize) * 5;
    const lm = { ...size, capturedTokens: 2, frozen: 0, live: matrices, head: vocabularySize * width, edited };
    expect(wide.valueSize).toBe(3 * width);
    expect((await bench(options, collecting())).flops).toBe(editFlops(lm, [{ ...wide, rows: 3 * 2, network }]));
  },
);
