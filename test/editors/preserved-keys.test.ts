// Moments and bases of preserved keys against plain loops in float64: of every architecture, keys of an encoder too.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { splitIntoBatches } from '../../src/data/split-batches.js';
import type { TokenPair } from '../../src/data/tuple.js';
import { type PreservedBatch, preservedMoments } from '../../src/editors/preserved-moments.js';
import type { EditableModel } from '../../src/engine/editable-model.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import { layerRows } from '../../src/engine/layer-group.js';
import { residentMatrices } from '../../src/engine/resident-matrix.js';
import type { TensorOf } from '../../src/tensor.js';
import { Random } from '../../src/util/random.js';
import { goldenModels } from '../parity/golden-folder.js';

const [weight, wordingWeight, facts] = [2, 3, 7];

/** float32 keys, a float32 factor and its inverse, of a moment whose smallest values are a hundredth of their mean. */
const tolerance = 2e-3;

type Matrix = readonly ArrayLike<number>[];

describe.each(goldenModels().filter(({ supported }) => supported))('$name', ({ folder }) => {
  let model: LanguageModel;
  let editable: EditableModel;
  let batches: readonly PreservedBatch[];
  beforeAll(async () => {
    model = await LanguageModel.open(folder);
    editable = await model.editing(model.layers());
    batches = drawBatches(model);
  });
  afterAll(() => model.close());

  it('the moment is the one of plain loops, and W^T C W = I', async () => {
    const ops = residentMatrices(editable.runtime);
    const preserved = await preservedMoments(editable, batches, { weight, wordingWeight });
    for (const { name, keySize } of editable.layers) {
      const expected = await expectedMoment(editable, name, keySize, batches);
      const ridge = (1e-2 * expected.reduce((sum, row, at) => sum + row[at]!, 0)) / keySize;
      for (let at = 0; at < keySize; at++) expected[at]![at]! += ridge;
      const keys = preserved.get(name)!;
      expectNear(rowsOf(await ops.download(keys.moment)), expected, 1e-5 * Math.max(...expected.flat()), name);
      const basis = rowsOf(await ops.download(await keys.basis(ops)));
      const identity = expected.map((_, i) => expected.map((__, j) => (i === j ? 1 : 0)));
      expectNear(product(transposed(basis), product(expected, basis)), identity, tolerance, name);
      keys.release(ops);
    }
  });

  it('leaves nothing else beside the runtime', async () => {
    const ops = residentMatrices(editable.runtime);
    const before = await editable.runtime.memory();
    const preserved = await preservedMoments(editable, batches, { weight, wordingWeight });
    for (const keys of preserved.values()) {
      await keys.basis(ops);
      keys.release(ops);
    }
    expect(await editable.runtime.memory()).toEqual(before);
  });
});

function expectNear(got: Matrix, expected: Matrix, limit: number, name: string): void {
  for (const [i, row] of expected.entries()) {
    for (const [j, value] of Array.from(row).entries()) {
      expect(Math.abs(got[i]![j]! - value), `${name} ${i} ${j}`).toBeLessThan(limit);
    }
  }
}

/** Facts in two wordings of other lengths, and some in one. */
function drawBatches({ definition: { kind, vocabularySize } }: LanguageModel): PreservedBatch[] {
  const random = new Random(3);
  const tokens = (count: number) => Array.from({ length: count }, () => 1 + random.integer(vocabularySize - 1));
  const answers = Array.from({ length: facts }, () =>
    kind === 'classifier' ? [random.integer(2)] : tokens(1 + random.integer(3)),
  );
  const worded = () => {
    const pairs = answers.map((answer): TokenPair => ({ prompt: tokens(2 + random.integer(6)), answer }));
    return splitIntoBatches(pairs, { kind, batchSize: facts, sortByLength: false })[0]!.batch;
  };
  return [{ batch: worded(), reworded: worded() }, { batch: worded() }];
}

async function expectedMoment(
  editable: EditableModel,
  layer: string,
  size: number,
  batches: readonly PreservedBatch[],
): Promise<number[][]> {
  const sum = Array.from({ length: size }, () => new Array<number>(size).fill(0));
  let count = 0;
  const add = (rows: Matrix, factor: number) => {
    for (const row of rows)
      for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) sum[i]![j]! += factor * row[i]! * row[j]!;
  };
  for (const { batch, reworded } of batches) {
    const keys = await keysOf(editable, layer, batch);
    const others = reworded ? await keysOf(editable, layer, reworded) : [];
    add(keys, 1);
    add(others, 1);
    count += keys.length + others.length;
    // An encoder's rows are those of the prompt: other words have none for each of them.
    if (!reworded || layer.startsWith('encoder.block')) continue;
    const differences = keys.map((key, at) => Array.from(key, (value, i) => value - others[at]![i]!));
    add(differences, wordingWeight);
  }
  return sum.map((row) => row.map((value) => (value * weight * size) / count));
}

async function keysOf(editable: EditableModel, layer: string, batch: PreservedBatch['batch']): Promise<Matrix> {
  const stacks = await editable.keys(batch, 'answers');
  const group = editable.groups.findIndex(({ layers }) => layers.some(({ name }) => name === layer));
  const at = editable.groups[group]!.layers.findIndex(({ name }) => name === layer);
  const own = layerRows(stacks[group]!.keys, stacks[group]!.counts, at);
  const rows = rowsOf(await residentMatrices(editable.runtime).download(own));
  editable.runtime.release(...stacks.map(({ keys }) => keys));
  return rows;
}

function rowsOf({ data, shape }: TensorOf<'f32'>): Float32Array[] {
  return Array.from({ length: shape[0]! }, (_, at) => data.slice(at * shape[1]!, (at + 1) * shape[1]!));
}

const transposed = (a: Matrix): Matrix => Array.from(a[0]!, (_, column) => a.map((row) => row[column]!));

function product(a: Matrix, b: Matrix): number[][] {
  const columns = transposed(b);
  return a.map((row) =>
    columns.map((column) => Array.from(row).reduce((sum, value, at) => sum + value * column[at]!, 0)),
  );
}
