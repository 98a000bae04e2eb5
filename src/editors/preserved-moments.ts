// Second moments of the keys of prompts whose answers stay, and of the differences that other words for the same make.

import type { EditableModel } from '../engine/editable-model.js';
import { layerRows } from '../engine/layer-group.js';
import type { KeyStack } from '../engine/model-answers.js';
import { residentMatrices } from '../engine/resident-matrix.js';
import type { Resident } from '../engine/runtime.js';
import { scale } from '../engine/weight-shift.js';
import { GramSum } from '../linalg/gram-sum.js';
import type { MatrixOps } from '../linalg/matrix-ops.js';
import type { TensorOf } from '../tensor.js';
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
  { weight, wordingWeight, onBatch }: PreservingOptions,
): Promise<PreservedByLayer> {
  const sums = new MomentSums(model, wordingWeight);
  const preserved = new Map<string, PreservedKeys>();
  try {
    for (const [done, batch] of batches.entries()) {
      await sums.add(batch);
      onBatch?.(done + 1);
    }
    for (const { name, keySize } of model.layers) {
      const moment = await sums.takeMean(name, weight * keySize);
      preserved.set(name, new PreservedKeys(name, await model.runtime.upload(moment, { move: true })));
    }
    return preserved;
  } finally {
    sums.release();
  }
}

/** factor * sum + ridge I, in place */
function withRidge(sum: TensorOf<'f32'>, factor: number): TensorOf<'f32'> {
  const { data, shape } = sum;
  const size = shape[0]!;
  for (let at = 0; at < data.length; at++) data[at]! *= factor;
  let trace = 0;
  for (let at = 0; at < size; at++) trace += data[at * size + at]!;
  for (let at = 0; at < size; at++) data[at * size + at]! += (relativeRidge * trace) / size;
  return sum;
}

/** The sums over batches, layer by layer. */
class MomentSums {
  readonly #model: EditableModel;
  readonly #ops: MatrixOps<Resident>;
  readonly #wordingWeight: number;
  readonly #sums: ReadonlyMap<string, GramSum<Resident>>;
  /** Keys in each sum, without the differences. */
  readonly #counts = new Map<string, number>();

  constructor(model: EditableModel, wordingWeight: number) {
    this.#model = model;
    this.#ops = residentMatrices(model.runtime);
    this.#wordingWeight = wordingWeight;
    this.#sums = new Map(model.layers.map(({ name, keySize }) => [name, new GramSum(this.#ops, keySize)]));
  }

  async add({ batch, reworded }: PreservedBatch): Promise<void> {
    const keys = await this.#model.keys(batch, 'answers');
    const others = reworded && (await this.#model.keys(reworded, 'answers'));
    await this.#addKeys(keys);
    if (others) await this.#addKeys(others);
    if (others && this.#wordingWeight > 0) await this.#addDifferences(keys, others);
    this.#ops.release(...[...keys, ...(others ?? [])].map((stack) => stack.keys));
  }

  /** The mean of a layer's sum over its keys, times `factor`, and the ridge; the sum is used up. */
  async takeMean(layer: string, factor: number): Promise<TensorOf<'f32'>> {
    return withRidge(await this.#sums.get(layer)!.take(), factor / this.#counts.get(layer)!);
  }

  release(): void {
    for (const sum of this.#sums.values()) sum.release();
  }

  #addKeys(stacks: readonly KeyStack[]): Promise<void> {
    return forEachLayer(this.#model, stacks, async (name, rows) => {
      await this.#sums.get(name)!.add(rows);
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + rows.shape[0]!);
    });
  }

  #addDifferences(some: readonly KeyStack[], others: readonly KeyStack[]): Promise<void> {
    return forEachDifference(this.#model, some, others, async (name, difference) => {
      const weighted = await scale(this.#model.runtime, difference, Math.sqrt(this.#wordingWeight));
      await this.#sums.get(name)!.add(weighted);
      this.#ops.release(weighted);
    });
  }
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
