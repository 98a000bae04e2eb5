// Statistics of each layer: what a network observes of a layer's rows is that layer's alone, and its outputs for a layer are
// those of a network whose one normaliser is that layer's.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeBatch } from '../../src/data/split-batches.js';
import { initialParameters, type Statistics } from '../../src/editors/hyper-network.js';
import { malmen } from '../../src/editors/malmen.js';
import { emptyMoments, ResidentNetwork } from '../../src/editors/resident-network.js';
import type { RunningMoments } from '../../src/editors/running-moments.js';
import type { CapturedRows, EditableModel } from '../../src/engine/editable-model.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import { layerRows } from '../../src/engine/layer-group.js';
import { residentMatrices } from '../../src/engine/resident-matrix.js';
import { Random } from '../../src/util/random.js';
import { expectClose } from '../parity/closeness.js';
import { goldenModels } from '../parity/golden-folder.js';

/** Of the largest value: float32 sums in another order. */
const rounding = 1e-5;

const gpt2 = goldenModels().find(({ name }) => name === 'gpt2')!;

describe('a network with statistics of each layer', () => {
  let model: LanguageModel;
  let editable: EditableModel;
  let captured: CapturedRows;
  let network: ResidentNetwork;
  beforeAll(async () => {
    model = await LanguageModel.open(gpt2.folder);
    editable = await model.editing(model.layers());
    const random = new Random(5);
    const ids = (count: number) => Array.from({ length: count }, () => random.integer(model.definition.vocabularySize));
    const pairs = Array.from({ length: 9 }, () => ({ prompt: ids(5), answer: ids(2) }));
    captured = (await editable.capture(makeBatch('decoder', pairs), 'answers', 1)).rows[0]!;
    network = await openNetwork('layer');
    await network.observe(captured);
  });
  afterAll(() => model.close());

  async function openNetwork(statistics: Statistics, moments?: RunningMoments): Promise<ResidentNetwork> {
    const { keySize, valueSize, layers } = editable.groups[0]!;
    const shape = { keySize, valueSize, layers: layers.length, rank: 4, blocks: 1, statistics };
    const tensors = initialParameters(shape, { learningRate: 0.1, logLambda: 0 }, new Random(1));
    const own = moments ? [moments] : emptyMoments(shape);
    return ResidentNetwork.open(editable.runtime, malmen, tensors, { shape, moments: own, rowLimit: 7 });
  }

  const download = async (stack: CapturedRows['keys'], layer: number) =>
    (await residentMatrices(editable.runtime).download(layerRows(stack, captured.counts, layer))).data;

  it('observes the mean and the deviation of each layer’s own rows', async () => {
    expect(network.moments.length).toBeGreaterThan(1);
    for (const [layer, moments] of network.moments.entries()) {
      const rows = captured.counts[layer]!;
      const columns = [await download(captured.keys, layer), await download(captured.valueGradients, layer)].flatMap(
        (data) => Array.from({ length: data.length / rows }, (_, at) => column(data, at, data.length / rows)),
      );
      const means = columns.map((values) => sum(values) / rows);
      const squares = columns.map((values, at) => sum(values.map((value) => (value - means[at]!) ** 2)));
      expect(moments.count).toBe(rows);
      expectClose(`mean of layer ${layer}`, moments.mean, means, rounding);
      expectClose(`squares of layer ${layer}`, moments.squares, squares, rounding);
    }
  });

  it('normalises a layer’s rows by them', async () => {
    const { changes } = await network.rowOutputs(captured);
    for (const [layer, moments] of network.moments.entries()) {
      const alone = await openNetwork('shared', moments);
      const { changes: expected } = await alone.rowOutputs(captured);
      const name = `changes of layer ${layer}`;
      expectClose(name, await download(changes!, layer), await download(expected!, layer), rounding);
      const other = (layer + 1) % captured.counts.length;
      expect(await download(changes!, other), name).not.toEqual(await download(expected!, other));
    }
  });
});

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const column = (data: Float32Array, at: number, width: number) => Array.from(data).filter((_, i) => i % width === at);
