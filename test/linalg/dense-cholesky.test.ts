import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isFailedPivot } from '../../src/linalg/cholesky.js';
import { invertedCholesky } from '../../src/linalg/dense-cholesky.js';
import { addRidge, distance, norm, product, randomRows, toRows, toTensor, transpose } from './float64.js';

function identity(size: number): number[][] {
  return addRidge(
    Array.from({ length: size }, () => new Array<number>(size).fill(0)),
    1,
  );
}

/** U^T (A + ridge I) U of U = L^-T, which should be the identity. */
function whitened(a: number[][], ridge: number): { result: number[][]; upper: number[][] } {
  const { data, shape } = toTensor(a);
  const inverse = invertedCholesky(data, a.length, { ridge });
  if (isFailedPivot(inverse)) throw new Error(`pivot ${inverse.row} is ${inverse.value}`);
  const upper = toRows({ dtype: 'f32', shape, data: inverse });
  return { upper, result: product(transpose(upper), product(addRidge(a, ridge), upper)) };
}

function gram(seed: number, rows: number, size: number): number[][] {
  const k = randomRows(seed, rows, size);
  return product(transpose(k), k).map((row) => row.map(Math.fround));
}

test('the inverse of the factor whitens the matrix, and is upper triangular', () => {
  fc.assert(
    fc.property(fc.nat(1e6), fc.integer({ min: 1, max: 40 }), (seed, size) => {
      const { result, upper } = whitened(gram(seed, 2 * size, size), 0.5);
      expect(distance(result, identity(size))).toBeLessThan(1e-5 * size);
      for (const [r, row] of upper.entries()) expect(row.slice(0, r).every((value) => value === 0)).toBe(true);
    }),
    { numRuns: 40 },
  );
});

test('a whole tile of 256', () => {
  const size = 256;
  const { result } = whitened(gram(7, 2 * size, size), 1);
  expect(distance(result, identity(size)) / norm(identity(size))).toBeLessThan(1e-5);
});

test('the upper triangle is not read', () => {
  const a = gram(3, 20, 9);
  const poisoned = a.map((row, r) => row.map((value, c) => (c > r ? Number.NaN : value)));
  expect(invertedCholesky(toTensor(poisoned).data, 9)).toEqual(invertedCholesky(toTensor(a).data, 9));
});

test('the ridge is added in float64: float32 would lose it', () => {
  const ones = [
    [1, 1],
    [1, 1],
  ];
  const inverse = invertedCholesky(toTensor(ones).data, 2, { ridge: 1e-9 }) as Float32Array;
  // The second pivot is 2e-9 - 1e-18.
  expect(inverse[3]).toBeCloseTo(1 / Math.sqrt(2e-9), -1);
});

test('the first pivot that is not positive is told', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 30 }), fc.nat(), fc.nat(1e6), (size, place, seed) => {
      const bad = place % size;
      // L D L^T with unit L in small whole numbers is exact, and its pivots are D.
      const lower = randomRows(seed, size, size).map((row, r) =>
        row.map((x, c) => (c === r ? 1 : c < r ? Math.sign(x) : 0)),
      );
      const pivots = identity(size).map((row, r) => row.map((x) => (r === bad ? -3 * x : x)));
      const a = product(product(lower, pivots), transpose(lower));
      const failed = invertedCholesky(toTensor(a).data, size);
      expect(failed).toMatchObject({ row: bad });
      expect((failed as { value: number }).value).toBeCloseTo(-3, 9);
    }),
    { numRuns: 60 },
  );
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])('%d on the diagonal is a failed pivot', (value) => {
  const a = addRidge(gram(1, 20, 6), 1);
  a[4]![4] = value;
  expect(invertedCholesky(toTensor(a).data, 6)).toEqual({ row: 4, value });
});

test('a pivot must be larger than the floor of its row', () => {
  const a = toTensor(addRidge([[0, 0], [0, 0]], 2)).data; // biome-ignore format: one line
  expect(invertedCholesky(a, 2, { floors: Float64Array.of(1, 2) })).toEqual({ row: 1, value: 2 });
  expect(isFailedPivot(invertedCholesky(a, 2, { floors: Float64Array.of(1, 1.9) }))).toBe(false);
});
