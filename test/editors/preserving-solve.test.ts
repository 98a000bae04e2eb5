// Solving with keys to preserve: in their white basis where that is cheaper, with their moment as a penalty elsewhere. Both are
// held against float64, the shift and what an editor learns from it.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { malmen } from '../../src/editors/malmen.js';
import { PreservedKeys } from '../../src/editors/preserved-keys.js';
import { openRuntime } from '../../src/engine/open-runtime.js';
import { residentMatrices } from '../../src/engine/resident-matrix.js';
import type { Resident, Runtime } from '../../src/engine/runtime.js';
import type { MatrixOps } from '../../src/linalg/matrix-ops.js';
import {
  addRidge,
  combine,
  distance,
  dot,
  norm,
  product,
  type Rows,
  randomRows,
  solve,
  toRows,
  toTensor,
  transpose,
} from '../linalg/float64.js';

const [keySize, valueSize, lambda] = [24, 5, 0.7];

let runtime: Runtime;
let ops: MatrixOps<Resident>;
beforeAll(async () => {
  runtime = await openRuntime({ device: 'cpu' });
  ops = residentMatrices(runtime);
});
afterAll(() => runtime.close());

it.each([
  ['the white basis', 4],
  ['the moment as a penalty', 12],
  ['the moment as a penalty', 40],
] as const)('%s is taken for %i rows of 24, and gives the exact shift and lesson', async (way, rows) => {
  const roots = randomRows(1, 30, keySize);
  const moment = addRidge(product(transpose(roots), roots), 0.3);
  const [keys, changes, gradient] = [randomRows(2, rows, keySize), randomRows(3, rows, valueSize), randomRows(4, keySize, valueSize)]; // biome-ignore format: one line
  const before = await runtime.memory();
  const got = await solveAndLearn(moment, keys, changes, gradient);
  // So few rows are solved in the dual form, whose lesson needs no keys; a penalty is known to the primal form alone.
  expect(got.readsKeys).toBe(way !== 'the white basis');
  expect(await runtime.memory()).toEqual(before);

  const system = combine(product(transpose(keys), keys), lambda, moment);
  const shift = solve(system, product(transpose(keys), changes));
  const back = solve(system, gradient);
  const changeGradient = product(keys, back);
  const lambdaGradient = -dot(back, product(moment, shift));
  expect(distance(got.shift, shift)).toBeLessThan(1e-3 * norm(shift));
  expect(distance(got.changeGradient, changeGradient)).toBeLessThan(1e-3 * norm(changeGradient));
  expect(Math.abs(got.lambdaGradient - lambdaGradient)).toBeLessThan(1e-3 * norm(back) * norm(product(moment, shift)));
});

async function solveAndLearn(moment: Rows, keys: Rows, changes: Rows, gradient: Rows) {
  const upload = (rows: Rows) => ops.upload(toTensor(rows));
  const preserved = new PreservedKeys('h.0', await upload(moment));
  const own = [await upload(keys), await upload(changes)] as const;
  const accumulator = malmen.accumulate(ops, {
    layer: 'h.0',
    keySize,
    valueSize,
    rows: keys.length,
    lambda,
    preserved,
  });
  await accumulator.add(own[0], { changes: own[1] });
  const solved = await accumulator.solve();
  const shift = toRows(await ops.download(solved.shift));
  const lesson = await solved.learn(await upload(gradient));
  const { tensor } = await lesson.feed(own[0], 0);
  const changeGradient = toRows(await ops.download(tensor));
  ops.release(tensor, ...own);
  lesson.release();
  solved.release();
  preserved.release(ops);
  return { shift, changeGradient, lambdaGradient: lesson.lambdaGradient, readsKeys: lesson.readsKeys };
}
