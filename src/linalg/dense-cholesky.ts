// Cholesky factor of one small dense matrix in float64, and the inverse of the factor.
// Plain loops over typed arrays; knows no runtime and no blocks larger than its own registers.

/** Rows and columns that the inner loop works on at once: 16 running sums are what the machine's registers hold. */
const STEP = 4;

/** The pivot that should have been positive. `value` is NaN or infinite when the matrix holds such a number. */
export interface FailedPivot {
  readonly row: number;
  readonly value: number;
}

export interface InvertedCholeskyOptions {
  /** Added to the diagonal, in float64. */
  readonly ridge?: number;
  /** Every pivot must be larger than this in its row; 0 unless given. */
  readonly floors?: Float64Array;
}

/**
 * A = L L^T for a symmetric positive definite A `[size, size]`, row-major; gives L^-T (upper triangle, zeros below),
 * or the first pivot that is not larger than its floor. Reads the lower triangle of A only.
 *
 * Both halves are one triangular solve from the right: the rows of L solve X L^T = A, those of L^-T solve X L^T = I.
 * Sizes are padded with an identity to whole steps, so that no loop has a ragged end.
 */
export function invertedCholesky(
  matrix: Float32Array,
  size: number,
  { ridge = 0, floors = new Float64Array(size) }: InvertedCholeskyOptions = {},
): Float32Array | FailedPivot {
  const stride = Math.ceil(size / STEP) * STEP;
  const lower = paddedLower(matrix, size, stride, ridge);
  const failed = factorInPlace(lower, stride, floors);
  if (failed) return failed;
  return trimmed(invertTransposed(lower, stride), stride, size);
}

/** Overwrites the lower triangle of `a` (whole steps wide) by L, row block after row block. */
function factorInPlace(a: Float64Array, stride: number, floors: Float64Array): FailedPivot | undefined {
  for (let row = 0; row < stride; row += STEP) {
    solveRows(a, a, stride, row, 0, row);
    subtractProducts(a, a, stride, row, row, 0);
    for (let r = row; r < row + STEP; r++) {
      const value = factorRow(a, stride, r, row);
      const isSound = value > (floors[r] ?? 0) && value < Number.POSITIVE_INFINITY; // false for a NaN
      if (!isSound) return { row: r, value };
    }
  }
  return undefined;
}

/** One row of the 4 x 4 diagonal block that starts at `first`; gives the square of the pivot. */
function factorRow(a: Float64Array, stride: number, row: number, first: number): number {
  const at = row * stride;
  for (let c = first; c < row; c++) {
    a[at + c] = (a[at + c]! - partialDot(a, at, a, c * stride, first, c)) / a[c * stride + c]!;
  }
  const pivot = a[at + row]! - partialDot(a, at, a, at, first, row);
  a[at + row] = Math.sqrt(pivot);
  return pivot;
}

/** L^-T: the rows that solve X L^T = I. Row block `row` has its first entries in column `row`. */
function invertTransposed(lower: Float64Array, stride: number): Float64Array {
  const x = new Float64Array(stride * stride);
  for (let i = 0; i < stride; i++) x[i * stride + i] = 1;
  for (let row = 0; row < stride; row += STEP) solveRows(x, lower, stride, row, row, stride);
  return x;
}

/** Solves X L^T = B in place for the four rows of X from `row`, columns [start, end); X is zero before `start`. */
function solveRows(
  x: Float64Array,
  lower: Float64Array,
  stride: number,
  row: number,
  start: number,
  end: number,
): void {
  for (let column = start; column < end; column += STEP) {
    subtractProducts(x, lower, stride, row, column, start);
    solveBlock(x, lower, stride, row, column);
  }
}

/** Four rows from `row` against the 4 x 4 diagonal block of L at `column`: x_c = (b_c - sum over d < c of x_d l_cd) / l_cc. */
function solveBlock(x: Float64Array, lower: Float64Array, stride: number, row: number, column: number): void {
  const l0 = column * stride + column;
  const l1 = l0 + stride;
  const l2 = l1 + stride;
  const l3 = l2 + stride;
  const r0 = 1 / lower[l0]!;
  const l10 = lower[l1]!;
  const r1 = 1 / lower[l1 + 1]!;
  const l20 = lower[l2]!;
  const l21 = lower[l2 + 1]!;
  const r2 = 1 / lower[l2 + 2]!;
  const l30 = lower[l3]!;
  const l31 = lower[l3 + 1]!;
  const l32 = lower[l3 + 2]!;
  const r3 = 1 / lower[l3 + 3]!;
  for (let r = row; r < row + STEP; r++) {
    const at = r * stride + column;
    const x0 = x[at]! * r0;
    const x1 = (x[at + 1]! - x0 * l10) * r1;
    const x2 = (x[at + 2]! - x0 * l20 - x1 * l21) * r2;
    x[at] = x0;
    x[at + 1] = x1;
    x[at + 2] = x2;
    x[at + 3] = (x[at + 3]! - x0 * l30 - x1 * l31 - x2 * l32) * r3;
  }
}

/** Sum of x[atX + i] * y[atY + i] over i in [start, end). */
function partialDot(x: Float64Array, atX: number, y: Float64Array, atY: number, start: number, end: number): number {
  let sum = 0;
  for (let i = start; i < end; i++) sum += x[atX + i]! * y[atY + i]!;
  return sum;
}

/**
 * X[row.., column..] -= X[row.., start..column] L[column.., start..column]^T for a 4 x 4 block. Both operands are read
 * along their rows; nearly all the time of this file is spent in its loop.
 */
function subtractProducts(
  x: Float64Array,
  lower: Float64Array,
  stride: number,
  row: number,
  column: number,
  start: number,
): void {
  const end = row * stride + column;
  const toLower = (column - row) * stride;
  const s1 = stride;
  const s2 = 2 * stride;
  const s3 = 3 * stride;
  let [c00, c01, c02, c03, c10, c11, c12, c13] = [0, 0, 0, 0, 0, 0, 0, 0];
  let [c20, c21, c22, c23, c30, c31, c32, c33] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let i = row * stride + start; i < end; i++) {
    const j = i + toLower;
    const l0 = lower[j]!;
    const l1 = lower[j + s1]!;
    const l2 = lower[j + s2]!;
    const l3 = lower[j + s3]!;
    const x0 = x[i]!;
    const x1 = x[i + s1]!;
    const x2 = x[i + s2]!;
    const x3 = x[i + s3]!;
    c00 += x0 * l0;
    c01 += x0 * l1;
    c02 += x0 * l2;
    c03 += x0 * l3;
    c10 += x1 * l0;
    c11 += x1 * l1;
    c12 += x1 * l2;
    c13 += x1 * l3;
    c20 += x2 * l0;
    c21 += x2 * l1;
    c22 += x2 * l2;
    c23 += x2 * l3;
    c30 += x3 * l0;
    c31 += x3 * l1;
    c32 += x3 * l2;
    c33 += x3 * l3;
  }
  subtract4(x, end, c00, c01, c02, c03);
  subtract4(x, end + s1, c10, c11, c12, c13);
  subtract4(x, end + s2, c20, c21, c22, c23);
  subtract4(x, end + s3, c30, c31, c32, c33);
}

function subtract4(x: Float64Array, at: number, c0: number, c1: number, c2: number, c3: number): void {
  x[at] = x[at]! - c0;
  x[at + 1] = x[at + 1]! - c1;
  x[at + 2] = x[at + 2]! - c2;
  x[at + 3] = x[at + 3]! - c3;
}

function paddedLower(matrix: Float32Array, size: number, stride: number, ridge: number): Float64Array {
  const out = new Float64Array(stride * stride);
  for (let r = 0; r < size; r++) {
    for (let c = 0; c <= r; c++) out[r * stride + c] = matrix[r * size + c]!;
    out[r * stride + r] = matrix[r * size + r]! + ridge;
  }
  for (let r = size; r < stride; r++) out[r * stride + r] = 1;
  return out;
}

function trimmed(upper: Float64Array, stride: number, size: number): Float32Array {
  const out = new Float32Array(size * size);
  for (let r = 0; r < size; r++) out.set(upper.subarray(r * stride + r, r * stride + size), r * size + r);
  return out;
}
