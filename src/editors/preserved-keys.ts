// What a shift should leave alone, as the solve sees it: the second moment of the keys of prompts whose answers stay.

import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import { layerRows } from '../engine/layer-group.js';
import { residentMatrices } from '../engine/resident-matrix.js';
import { sumRows } from '../engine/row-counts.js';
import type { Resident } from '../engine/runtime.js';
import { scale } from '../engine/weight-shift.js';
import { whitening } from '../linalg/whitening.js';
import type { AnswerBatch } from './editor.js';

/** Part of the mean squared key that is added to the diagonal: directions that no preserved prompt uses stay bounded. */
const relativeRidge = 1e-2;

/**
 * With C = weight * keySize * mean of k k^T over the answer tokens of all batches: bases in which C (and a small ridge) is
 * the identity, [keySize, keySize] by layer. In them a key has a squared length of about 1 / weight whatever its size, so
 * that one lambda means the same for every layer.
 */
export async function preservingBases(
  model: EditableModel,
  batches: readonly AnswerBatch[],
  weight: number,
  onBatch: (done: number) => void = () => {},
): Promise<LayerTensors> {
  const ops = residentMatrices(model.runtime);
  const sums = await summedMoments(model, batches, onBatch);
  const rows = sumRows(batches.map((batch) => model.rowCounts(batch, 'answers')));
  const bases = new Map<string, Resident>();
  for (const { name, keySize } of model.layers) {
    const moment = await scale(model.runtime, sums.get(name)!, (weight * keySize) / rows.get(name)!);
    const { data } = await ops.download(moment);
    let trace = 0;
    for (let at = 0; at < keySize; at++) trace += data[at * keySize + at]!;
    bases.set(name, await whitening(ops, moment, (relativeRidge * trace) / keySize, name));
    ops.release(moment, sums.get(name)!);
  }
  return bases;
}

/** K^T K over all batches by layer, of the base model. */
async function summedMoments(
  model: EditableModel,
  batches: readonly AnswerBatch[],
  onBatch: (done: number) => void,
): Promise<Map<string, Resident>> {
  const ops = residentMatrices(model.runtime);
  const sums = new Map<string, Resident>();
  for (const [done, batch] of batches.entries()) {
    const stacks = await model.keys(batch, 'answers');
    for (const [group, { layers }] of model.groups.entries()) {
      const { keys, counts } = stacks[group]!;
      for (const [at, { name }] of layers.entries()) {
        const own = layerRows(keys, counts, at);
        const old = sums.get(name);
        sums.set(name, await ops.multiply(own, own, { transposeA: true, ...(old ? { plus: old } : {}) }));
        if (old) ops.release(old);
      }
      ops.release(keys);
    }
    onBatch(done + 1);
  }
  return sums;
}
