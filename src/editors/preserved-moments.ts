// Second moments of the keys of prompts whose answers stay, and of the differences that other words for the same make.

import type { EditableModel } from '../engine/editable-model.js';
import { layerRows } from '../engine/layer-group.js';
import type { KeyStack } from '../engine/model-answers.js';
import { residentMatrices } from '../engine/resident-matrix.js';
import type { Resident } from '../engine/runtime.js';
import { scale } from '../engine/weight-shift.js';
import { GramSum } from '../linalg/gram-sum.js';
import { f32, type TensorOf } from '../tensor.js';
import type { AnswerBatch } from './editor.js';
import { type PreservedByLayer, PreservedKeys } from './preserved-keys.js';

/** Part of the mean squared key that is added to the diagonal: directions that no preserved prompt uses stay bounded. */
const relativeRidge = 1e-2;

/** Prompts whose answers stay and, where there is one, the same facts in the same order in other words. */
export interface PreservedBatch {
  readonly batch: AnswerBatch;
  readonly reworded?: AnswerBatch;
}

export interface PreservingOptions {
  /** Rows of preserved keys for each number of a key, in the solve. */
  readonly weight: number;
  /** How much more the part of the keys counts that depends on the words: edits then use what all wordings share. */
  readonly wordingWeight: number;
  readonly onBatch?: (done: number) => void;
}

/**
 * C = weight * keySize * (mean of k k^T + wordingWeight * mean of (k - k') (k - k')^T / 2) over the answer tokens of all
 * batches, k' the key of the same token after other words, and a small ridge. In the basis where C is the identity a key has
 * a squared length of about 1 / weight whatever its size, so that one lambda means the same for every layer.
 */
export async function preservedMoments(
  model: EditableModel,
  batches: readonly PreservedBatch[],
  options: PreservingOptions,
): Promise<PreservedByLayer> {
  const sums = await summedMoments(model, batches, options);
  const preserved = new Map<string, PreservedKeys>();
  for (const { name, keySize } of model.layers) {
    const { sum, rows } = sums.get(name)!;
    const tensor = withRidge(await sum.take(), (options.weight * keySize) / rows);
    preserved.set(name, new PreservedKeys(name, await model.runtime.upload(tensor, { move: true })));
  }
  return preserved;
}

/** factor * sum + ridge I */
function withRidge({ data, shape }: TensorOf<'f32'>, factor: number): TensorOf<'f32'> {
  const size = shape[0]!;
  let trace = 0;
  for (let at = 0; at < size; at++) trace += factor * data[at * size + at]!;
  const scaled = data.map((value) => factor * value);
  for (let at = 0; at < size; at++) scaled[at * size + at]! += (relativeRidge * trace) / size;
  return f32(scaled, shape);
}

/** A sum of products of rows with themselves, and how many keys are in it. */
interface Moment {
  readonly sum: GramSum<Resident>;
  rows: number;
}

async function summedMoments(
  model: EditableModel,
  batches: readonly PreservedBatch[],
  { wordingWeight, onBatch }: PreservingOptions,
): Promise<ReadonlyMap<string, Moment>> {
  const ops = residentMatrices(model.runtime);
  const moments = new Map(
    model.layers.map(({ name, keySize }): [string, Moment] => [name, { sum: new GramSum(ops, keySize), rows: 0 }]),
  );
  const addKeys = async (name: string, rows: Resident) => {
    const moment = moments.get(name)!;
    await moment.sum.add(rows);
    moment.rows += rows.shape[0]!;
  };
  try {
    for (const [done, { batch, reworded }] of batches.entries()) {
      const keys = await model.keys(batch, 'answers');
      const others = reworded && (await model.keys(reworded, 'answers'));
      await forEachLayer(model, keys, addKeys);
      if (others) await forEachLayer(model, others, addKeys);
      if (others && wordingWeight > 0) {
        await forEachDifference(model, keys, others, async (name, difference) => {
          const weighted = await scale(model.runtime, difference, Math.sqrt(wordingWeight));
          await moments.get(name)!.sum.add(weighted);
          ops.release(weighted);
        });
      }
      model.runtime.release(...[...keys, ...(others ?? [])].map((stack) => stack.keys));
      onBatch?.(done + 1);
    }
  } catch (error) {
    for (const { sum } of moments.values()) sum.release();
    throw error;
  }
  return moments;
}

async function forEachLayer(
  model: EditableModel,
  stacks: readonly KeyStack[],
  use: (name: string, rows: Resident) => Promise<void>,
): Promise<void> {
  for (const [group, { layers }] of model.groups.entries()) {
    const { keys, counts } = stacks[group]!;
    for (const [at, { name }] of layers.entries()) await use(name, layerRows(keys, counts, at));
  }
}

/** Layers whose rows are prompts' tokens (an encoder's) have no row for each other's: they are left out. */
async function forEachDifference(
  model: EditableModel,
  some: readonly KeyStack[],
  others: readonly KeyStack[],
  use: (name: string, rows: Resident) => Promise<void>,
): Promise<void> {
  const ops = residentMatrices(model.runtime);
  for (const [group, { layers }] of model.groups.entries()) {
    for (const [at, { name }] of layers.entries()) {
      if (!model.hasAnswerRows(name)) continue;
      const [a, b] = [some[group]!, others[group]!].map(({ keys, counts }) => layerRows(keys, counts, at));
      const difference = await ops.addScaled(a!, -1, b!);
      await use(name, difference);
      ops.release(difference);
    }
  }
}
