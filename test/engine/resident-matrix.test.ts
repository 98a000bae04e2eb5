// Products of resident matrices against float64: new ones, and those that overwrite or add to a matrix in place.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { openRuntime } from '../../src/engine/open-runtime.js';
import { residentMatrices } from '../../src/engine/resident-matrix.js';
import type { Resident, Runtime } from '../../src/engine/runtime.js';
import type { MatrixOps } from '../../src/linalg/matrix-ops.js';
import { combine, norm, product, type Rows, randomRows, toRows, toTensor, transpose } from '../linalg/float64.js';

let runtime: Runtime;
let ops: MatrixOps<Resident>;
beforeAll(async () => {
  runtime = await openRuntime({ device: 'cpu', inThread: true });
  ops = residentMatrices(runtime);
});
afterAll(() => runtime.close());

/** The second is cut into several calls. */
const heights = [5, 4500];
const transposes = [false, true].flatMap((transposeA) =>
  [false, true].map((transposeB) => ({ transposeA, transposeB })),
);
const cases = heights.flatMap((height) => transposes.map((options) => ({ height, ...options })));

const upload = (rows: Rows) => ops.upload(toTensor(rows));
const scaled = (rows: Rows, factor: number) => combine(rows, factor - 1, rows);

async function expectRows(matrix: Resident, expected: Rows): Promise<void> {
  const got = toRows(await ops.download(matrix));
  expect(norm(combine(got, -1, expected))).toBeLessThan(1e-6 * norm(expected));
}

test.each(cases)('$height rows, transposed: $transposeA, $transposeB', async ({ height, ...options }) => {
  const [left, right] = [randomRows(1, height, 7), randomRows(2, 7, 3)];
  const a = await upload(options.transposeA ? transpose(left) : left);
  const b = await upload(options.transposeB ? transpose(right) : right);
  const whole = product(left, right);

  const made = await ops.multiply(a, b, options);
  await expectRows(made, whole);

  const old = randomRows(3, height + 2, 3);
  const around = await upload(old);
  const target = ops.rows(around, 1, height + 1);
  await ops.addProduct(target, a, b, { ...options, alpha: -2 });
  const added = combine(old.slice(1, -1), -2, whole);
  await expectRows(around, [old[0]!, ...added, old.at(-1)!]);

  await ops.setProduct(target, a, b, { ...options, alpha: 3 });
  await expectRows(around, [old[0]!, ...scaled(whole, 3), old.at(-1)!]);
  ops.release(a, b, made, around);
  expect((await runtime.memory()).residents).toBe(0);
});
