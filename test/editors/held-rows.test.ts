// Rows that stand are held: the weights of the least-squares problem against their definition in plain loops.

import { expect, test } from 'vitest';
import { networkValues } from '../../src/editors/hyper-network.js';
import { dampedMalmen, malmen } from '../../src/editors/malmen.js';
import { makeProgram } from '../../src/graph/program.js';
import { Random } from '../../src/util/random.js';
import { interpret, type Tensor64 } from '../graph/interpreter.js';
import { indexTensor, normalTensor } from '../graph/tensor64.js';

const [rows, keySize, valueSize, layers, rank] = [7, 5, 4, 2, 3];
const shape = { keySize, valueSize, layers, rank, blocks: 1, statistics: 'layer' } as const;
const width = keySize + valueSize;

const random = new Random(3);
const normal = (...dims: number[]) => normalTensor(random, dims);
const positive = ({ shape: dims, data }: Tensor64): Tensor64 => ({
  shape: dims,
  data: data.map((x) => 0.5 + Math.abs(x)),
});
const feeds: Record<string, Tensor64> = {
  keys: normal(rows, keySize),
  // From a hundredth of the usual size to several times it.
  valueGradients: {
    shape: [rows, valueSize],
    data: normal(rows, valueSize).data.map((x, at) => x * 10 ** (Math.floor(at / valueSize) / 2 - 2)),
  },
  layer: indexTensor(random, [rows], layers),
  mean: normal(layers, width),
  deviation: positive(normal(layers, width)),
  '@blocks.0.A': normal(width, rank),
  '@blocks.0.B': normal(rank, width),
  '@blocks.0.bias': normal(width),
  '@blocks.0.scale.weight': normal(layers, width),
  '@blocks.0.shift.weight': normal(layers, width),
  '@lr.weight': normal(layers, 1),
};

function outputs(method: typeof malmen, hold?: number): ReadonlyMap<string, Tensor64> {
  const found = method.rowOutputs(networkValues(shape, { scaledUp: method.damped }), hold);
  return interpret(makeProgram(found), feeds, { rows });
}

const rowOf = ({ shape: [, n], data }: Tensor64, row: number) => [...data.subarray(row * n!, (row + 1) * n!)];
const squares = (values: readonly number[]) => values.reduce((sum, x) => sum + x * x, 0);

/** min(1, |g| / sqrt(E |g|^2)) by its definition. */
function errorLeft(row: number): number {
  const layer = feeds.layer!.data[row]!;
  const ofGradient = (all: Tensor64) => rowOf(all, layer).slice(keySize);
  const usual = squares(ofGradient(feeds.mean!)) + squares(ofGradient(feeds.deviation!));
  return Math.min(1, Math.sqrt(squares(rowOf(feeds.valueGradients!, row)) / usual));
}

test('a row weighs hold + (1 - hold) errorLeft in the Gram matrix, and pulls as without', () => {
  const errors = Array.from({ length: rows }, (_, row) => errorLeft(row));
  expect(Math.min(...errors)).toBeLessThan(0.05);
  expect(Math.max(...errors)).toBe(1);
  for (const hold of [0.5, 3, 30]) {
    const held = outputs(dampedMalmen, hold);
    const plain = outputs(dampedMalmen);
    for (const [row, error] of errors.entries()) {
      const [keys, own] = [rowOf(held.get('keys')!, row), rowOf(feeds.keys!, row)];
      expect(squares(keys) / squares(own)).toBeCloseTo(hold + (1 - hold) * error, 9);
      const [changes, before] = [rowOf(held.get('changes')!, row), rowOf(plain.get('changes')!, row)];
      for (const [k, key] of keys.entries())
        for (const [v, change] of changes.entries()) expect(key * change).toBeCloseTo(own[k]! * before[v]!, 9);
    }
  }
});

test('held alike, or by the published method: the captured keys as they are', () => {
  expect([...outputs(dampedMalmen, 1).keys()]).toEqual(['changes']);
  expect([...outputs(malmen, 10).keys()]).toEqual(['changes']);
});
