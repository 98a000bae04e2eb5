// What `malmen inspect` says of a stored model of every architecture, against the names that the published configurations edit.

import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { inspect, type ModelReport } from '../../src/commands/inspect.js';
import { inspectOptions } from '../../src/commands/options.js';
import { goldenPath } from '../data/stored-data.js';
import { collecting } from './tiny-world.js';

const report = async (model: string, settings: object = {}): Promise<ModelReport> => {
  const options = inspectOptions.parse({ path: goldenPath(`models/${model}`), ...settings });
  return (await inspect(options, collecting())) as ModelReport;
};

const numbered = (count: number, name: (block: number) => string) => Array.from({ length: count }, (_, at) => name(at));

const t5Layers = (inner: string) =>
  [1, 2].flatMap((block) =>
    [inner, 'wo'].flatMap((part) => [
      `encoder.block.${block}.layer.1.DenseReluDense.${part}`,
      `decoder.block.${block}.layer.2.DenseReluDense.${part}`,
    ]),
  );

/** Stored model, kind, orientation and the layers that are edited by default: the last six blocks, or as many as there are. */
const models: readonly (readonly [string, ModelReport['modelKind'], 'in-out' | 'out-in', readonly string[]])[] = [
  ['gpt2', 'decoder', 'in-out', numbered(4, (block) => `transformer.h.${block}.mlp.c_proj`)],
  ['gptj', 'decoder', 'out-in', numbered(4, (block) => `transformer.h.${block}.mlp.fc_out`)],
  ['gpt_neox', 'decoder', 'out-in', numbered(3, (block) => `gpt_neox.layers.${block}.mlp.dense_4h_to_h`)],
  ['llama', 'decoder', 'out-in', numbered(4, (block) => `model.layers.${block}.mlp.down_proj`)],
  ['qwen2', 'decoder', 'out-in', numbered(4, (block) => `model.layers.${block}.mlp.down_proj`)],
  ['t5_v10', 'encoder-decoder', 'out-in', t5Layers('wi')],
  ['t5_v11', 'encoder-decoder', 'out-in', t5Layers('wi_0')],
  ['bert_fever', 'classifier', 'out-in', numbered(4, (block) => `backbone.encoder.layer.${block}.output.dense`)],
];

describe.each(models)('%s', (model, kind, orientation, layers) => {
  test.skipIf(!existsSync(goldenPath(`models/${model}`)))('kind, orientation, default layers and memory', async () => {
    const found = await report(model);
    expect(found.modelKind).toBe(kind);
    expect(new Set(found.layers.map((layer) => layer.orientation))).toEqual(new Set([orientation]));
    const defaults = found.layers.filter(({ isDefault }) => isDefault).map(({ name }) => name);
    expect(defaults.sort()).toEqual([...layers].sort());
    expect(found.memory.map(({ task, schedule }) => [task, schedule])).toEqual([
      ['edit', 'whole'],
      ['edit', 'blocks'],
      ['train', 'whole'],
      ['train', 'blocks'],
    ]);
    for (const job of found.memory) expect(job.peak).toBeGreaterThan(job.pass);
  });
});

test.skipIf(!existsSync(goldenPath('models/t5_v11')))('more facts take more, and more prompts per pass', async () => {
  const [few, many] = [await report('t5_v11', { edits: 100 }), await report('t5_v11', { edits: 3000 })];
  const [small, large] = [await report('t5_v11', { batch: 10 }), await report('t5_v11', { batch: 200 })];
  for (const at of few.memory.keys()) {
    expect(few.memory[at]!.peak).toBeLessThanOrEqual(many.memory[at]!.peak);
    expect(small.memory[at]!.pass).toBeLessThan(large.memory[at]!.pass);
  }
  expect(few.memory[2]!.normalEquations).toBeLessThan(many.memory[2]!.normalEquations);
});
