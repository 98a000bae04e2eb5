// What a shift should leave alone, as the solve sees it: the second moment of the keys of prompts whose answers stay, and that
// of the differences that other words for the same make.

import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import { layerRows } from '../engine/layer-group.js';
import type { KeyStack } from '../engine/model-answers.js';
import { residentMatrices } from '../engine/resident-matrix.js';
import type { Resident } from '../engine/runtime.js';
import { scale } from '../engine/weight-shift.js';
import { whitening } from '../linalg/whitening.js';
import type { AnswerBatch } from './editor.js';

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
 * With C = weight * keySize * (mean of k k^T + wordingWeight * mean of (k - k') (k - k')^T / 2) over the answer tokens of all
 * batches, k' the key of the same token after other words: bases in which C (and a small ridge) is the identity,
 * [keySize, keySize] by layer. In them a key has a squared length of about 1 / weight whatever its size, so that one lambda
 * means the same for every layer.
 */
export async function preservingBases(
  model: EditableModel,
  batches: readonly PreservedBatch[],
  options: PreservingOptions,
): Promise<LayerTensors> {
  const ops = residentMatrices(model.runtime);
  const moments = await summedMoments(model, batches, options);
  const bases = new Map<string, Resident>();
  for (const { name, keySize } of model.layers) {
    const { sum, rows } = moments.get(name)!;
    const moment = await scale(model.runtime, sum, (options.weight * keySize) / rows);
    const { data } = await ops.download(moment);
    let trace = 0;
    for (let at = 0; at < keySize; at++) trace += data[at * keySize + at]!;
    bases.set(name, await whitening(ops, moment, (relativeRidge * trace) / keySize, name));
    ops.release(moment, sum);
  }
  return bases;
}

/** A sum of products of rows with themselves, and how many keys are in it. */
interface Moment {
  readonly sum: Resident;
  readonly rows: number;
}

async function summedMoments(
  model: EditableModel,
  batches: readonly PreservedBatch[],
  { wordingWeight, onBatch }: PreservingOptions,
): Promise<Map<string, Moment>> {
  const moments = new Map<string, Moment>();
  const add = async (name: string, rows: Resident, factor: number, count: number) => {
    const ops = residentMatrices(model.runtime);
    const old = moments.get(name);
    const plus = old ? { plus: old.sum } : {};
    const sum = await ops.multiply(rows, rows, { transposeA: true, alpha: factor, ...plus });
    if (old) ops.release(old.sum);
    moments.set(name, { sum, rows: (old?.rows ?? 0) + count });
  };
  for (const [done, { batch, reworded }] of batches.entries()) {
    const keys = await model.keys(batch, 'answers');
    const others = reworded && (await model.keys(reworded, 'answers'));
    await forEachLayer(model, keys, (name, rows) => add(name, rows, 1, rows.shape[0]!));
    if (others) await forEachLayer(model, others, (name, rows) => add(name, rows, 1, rows.shape[0]!));
    if (others && wordingWeight > 0) {
      await forEachDifference(model, keys, others, (name, rows) => add(name, rows, wordingWeight, 0));
    }
    model.runtime.release(...[...keys, ...(others ?? [])].map((stack) => stack.keys));
    onBatch?.(done + 1);
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
