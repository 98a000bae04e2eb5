import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BlockColumns } from '../../src/linalg/block-columns.js';
import { addGramOfColumns, gramOfRows, tileStarts } from '../../src/linalg/block-columns.js';
import { choleskyFactor, isFailedPivot } from '../../src/linalg/cholesky.js';
import type { CholeskyFactor } from '../../src/linalg/cholesky-factor.js';
import { choleskySolve, inverseTransposed } from '../../src/linalg/cholesky-solve.js';
import { addRidge, combine, norm, product, type Rows, randomRows, toRows, toTensor, transpose } from './float64.js';
import { ReferenceOps, type RefMatrix } from './reference-ops.js';

const EPSILON = 2 ** -24; // rounding unit of float32

async function blockColumns(ops: ReferenceOps, a: Rows, tile: number): Promise<BlockColumns<RefMatrix>> {
  const columns = tileStarts(a.length, tile).map((start) =>
    ops.upload(toTensor(a.slice(start).map((row) => row.slice(start, start + tile)))),
  );
  return { size: a.length, tile, columns: await Promise.all(columns) };
}

async function factorOf(ops: ReferenceOps, a: Rows, tile: number, ridge = 0): Promise<CholeskyFactor<RefMatrix>> {
  const factor = await choleskyFactor(ops, await blockColumns(ops, a, tile), ridge);
  if (isFailedPivot(factor)) throw new Error(`pivot ${factor.row} is ${factor.value}`);
  return factor;
}

const problems = fc.record({
  seed: fc.nat(1e6),
  size: fc.integer({ min: 1, max: 30 }),
  tile: fc.integer({ min: 1, max: 35 }),
  width: fc.integer({ min: 1, max: 4 }),
  ridge: fc.double({ min: 0.01, max: 10, noNaN: true }),
});

test('the residual is of the order of rounding, for any tile size, and nothing leaks', async () => {
  await fc.assert(
    fc.asyncProperty(problems, async ({ seed, size, tile, width, ridge }) => {
      const ops = new ReferenceOps();
      const k = randomRows(seed, size, size);
      const a = product(transpose(k), k).map((row) => row.map(Math.fround));
      const b = randomRows(seed + 1, size, width);
      const factor = await factorOf(ops, a, tile, ridge);
      const right = await ops.upload(toTensor(b));
      const solved = await choleskySolve(factor, right);
      const x = toRows(await ops.download(solved));
      const ridged = addRidge(a, ridge);
      const residual = norm(combine(product(ridged, x), -1, b));
      expect(residual).toBeLessThan(20 * size * EPSILON * (norm(ridged) * norm(x) + norm(b)));
      ops.release(solved, right, ...factor.handles);
      expect(ops.live).toBe(0);
    }),
    { numRuns: 60 },
  );
});

/** Tiles of 280 are factored by tiles of 128. */
const LARGE_TILE = { size: 600, tile: 280 };

test('a tile too large for one thread is factored by tiles of its own', async () => {
  const ops = new ReferenceOps();
  const { size, tile } = LARGE_TILE;
  const k = randomRows(1, 20, size);
  const a = product(transpose(k), k).map((row) => row.map(Math.fround));
  const b = randomRows(2, size, 1);
  const factor = await factorOf(ops, a, tile, 1);
  const right = await ops.upload(toTensor(b));
  const solved = await choleskySolve(factor, right);
  const x = toRows(await ops.download(solved));
  const ridged = addRidge(a, 1);
  expect(norm(combine(product(ridged, x), -1, b))).toBeLessThan(1e-5 * norm(ridged) * norm(x));
  ops.release(solved, right, ...factor.handles);
  expect(ops.live).toBe(0);
});

test('in such a tile, too, a pivot that fails is told by its row in the whole matrix', async () => {
  const ops = new ReferenceOps();
  const { size, tile } = LARGE_TILE;
  const bad = 2 * tile - 5;
  const a = Array.from({ length: size }, (_, r) =>
    Array.from({ length: size }, (_, c) => (r === c ? (r === bad ? -2 : 1) : 0)),
  );
  expect(await choleskyFactor(ops, await blockColumns(ops, a, tile))).toEqual({ row: bad, value: -2 });
  expect(ops.live).toBe(0);
});

test('a pivot that fails is told by its row in the whole matrix, and everything is released', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 9 }),
      fc.nat(),
      async (size, tile, place) => {
        const ops = new ReferenceOps();
        const bad = place % size;
        // Exact: L has ones on the diagonal and in the first column, the pivots are 1 but for the bad one.
        const lower = Array.from({ length: size }, (_, r) =>
          Array.from({ length: size }, (_, c) => +(c === r || c === 0)),
        );
        const pivots = lower.map((row, r) => row.map((_, c) => (r === c ? (r === bad ? -2 : 1) : 0)));
        const a = product(product(lower, pivots), transpose(lower));
        expect(await choleskyFactor(ops, await blockColumns(ops, a, tile))).toEqual({ row: bad, value: -2 });
        expect(ops.live).toBe(0);
      },
    ),
    { numRuns: 40 },
  );
});

test('both Gram matrices are those of float64, whatever the tile and the chunks', async () => {
  const gramProblems = fc.record({
    seed: fc.nat(1e6),
    rows: fc.integer({ min: 2, max: 12 }),
    size: fc.integer({ min: 1, max: 12 }),
    tile: fc.integer({ min: 1, max: 13 }),
  });
  await fc.assert(
    fc.asyncProperty(gramProblems, async ({ seed, rows, size, tile }) => {
      const ops = new ReferenceOps();
      const k = randomRows(seed, rows, size);
      const keys = await ops.upload(toTensor(k));
      const sums: RefMatrix[] = [];
      const chunks = [
        await ops.upload(toTensor(transpose(k.slice(0, 1)))),
        await ops.upload(toTensor(transpose(k.slice(1)))),
      ];
      for (const transposed of chunks) await addGramOfColumns(ops, sums, transposed, tile);
      const dual = await gramOfRows(ops, keys, tile);
      await expectLowerHalf(ops, sums, product(transpose(k), k), tile);
      await expectLowerHalf(ops, dual.columns, product(k, transpose(k)), tile);
      ops.release(keys, ...chunks, ...sums, ...dual.columns);
      expect(ops.live).toBe(0);
    }),
    { numRuns: 40 },
  );
});

async function expectLowerHalf(ops: ReferenceOps, columns: readonly RefMatrix[], expected: Rows, tile: number) {
  const starts = tileStarts(expected.length, tile);
  expect(columns).toHaveLength(starts.length);
  for (const [j, start] of starts.entries()) {
    const block = expected.slice(start).map((row) => row.slice(start, start + tile));
    const got = toRows(await ops.download(columns[j]!));
    expect(norm(combine(got, -1, block))).toBeLessThan(1e-5 * (1 + norm(block)));
  }
}

test('factoring needs room for one block column and one tile beside the matrix', async () => {
  const ops = new ReferenceOps();
  const size = 40;
  const tile = 8;
  const a = addRidge(
    Array.from({ length: size }, () => new Array<number>(size).fill(1)),
    1,
  );
  const matrix = await blockColumns(ops, a, tile);
  const before = ops.held;
  const factor = await choleskyFactor(ops, matrix);
  expect(ops.peak).toBeLessThanOrEqual(before + size * tile + tile * tile);
  expect(isFailedPivot(factor)).toBe(false);
});

test('the inverse of a factor needs room for itself and one row of tiles', async () => {
  const ops = new ReferenceOps();
  const [size, tile] = [40, 8];
  const zero = Array.from({ length: size }, () => new Array<number>(size).fill(0));
  const a = addRidge(
    zero.map((row, r) => row.map((_, c) => 1 / (1 + Math.abs(r - c)))),
    1,
  );
  const factor = await factorOf(ops, a, tile);
  const before = ops.held;
  ops.peak = before;
  const inverse = toRows(await ops.download(await inverseTransposed(factor)));
  expect(norm(combine(product(a, product(inverse, transpose(inverse))), -1, addRidge(zero, 1)))).toBeLessThan(1e-4);
  expect(ops.peak).toBeLessThanOrEqual(before + size * size + size * tile);
});

test('a pivot that is only rounding noise has failed', async () => {
  const ops = new ReferenceOps();
  const noisy = (ridge: number) => [
    [4, 2],
    [2, 1 + ridge],
  ];
  const [lost, kept] = [2 ** -26, 2 ** -23]; // 1 + 2 ** -23 is the float32 number after 1
  expect(await choleskyFactor(ops, await blockColumns(ops, noisy(0), 1), lost)).toMatchObject({ row: 1 });
  const factor = await choleskyFactor(ops, await blockColumns(ops, noisy(kept), 1));
  expect(isFailedPivot(factor)).toBe(false);
  if (!isFailedPivot(factor)) ops.release(...factor.handles);
  expect(ops.live).toBe(0);
});
