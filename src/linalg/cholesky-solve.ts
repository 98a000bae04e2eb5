// Solving with a blocked Cholesky factor, for many right-hand sides at once: matrix products only.
// Knows no normal equation.

import { type TensorOf, zeros } from '../tensor.js';
import { type CholeskyFactor, rowsFrom } from './cholesky-factor.js';
import { withHandles } from './handle-scope.js';

/** X of A X = B, all right-hand sides `b` `[size, columns]` at once; `b` stays the caller's. Needs room for two more of it. */
export async function choleskySolve<M>(factor: CholeskyFactor<M>, b: M): Promise<M> {
  const { ops } = factor;
  return withHandles(ops, async (scope) => {
    const room = await scope.own(ops.stackRows([b]));
    const y = await scope.own(ops.stackRows([b]));
    await solveForward(factor, room, y);
    await solveBackward(factor, y, room);
    return scope.give(room);
  });
}

/** L^-T `[size, size]`, the upper triangular W with W W^T = A^-1. */
export async function inverseTransposed<M>(factor: CholeskyFactor<M>): Promise<M> {
  const { ops, size } = factor;
  return withHandles(ops, async (scope) => {
    const identity = await scope.own(ops.upload(identityMatrix(size)));
    const inverse = await scope.own(ops.stackRows([identity]));
    await solveBackward(factor, identity, inverse);
    return scope.give(inverse);
  });
}

function identityMatrix(size: number): TensorOf<'f32'> {
  const identity = zeros([size, size]);
  for (let row = 0; row < size; row++) identity.data[row * size + row] = 1;
  return identity;
}

/** L Y = B into `y`: y_j = L_jj^-1 b_j, and what lies below loses L_ij y_j. Uses up `b`. */
async function solveForward<M>(factor: CholeskyFactor<M>, b: M, y: M): Promise<void> {
  const { ops } = factor;
  for (const { inverse, below, start, end } of placed(factor)) {
    const solved = ops.rows(y, start, end);
    await ops.setProduct(solved, inverse, ops.rows(b, start, end), { transposeA: true });
    if (below !== undefined) await ops.addProduct(rowsFrom(ops, b, end), below, solved, { alpha: -1 });
  }
}

/** L^T X = Y into `x`, from the last tile up: x_j = L_jj^-T (y_j - L_below,j^T x_below). Uses up `y`. */
async function solveBackward<M>(factor: CholeskyFactor<M>, y: M, x: M): Promise<void> {
  const { ops } = factor;
  for (const { inverse, below, start, end } of placed(factor).reverse()) {
    const right = ops.rows(y, start, end);
    if (below !== undefined) await ops.addProduct(right, below, rowsFrom(ops, x, end), { transposeA: true, alpha: -1 });
    await ops.setProduct(ops.rows(x, start, end), inverse, right);
  }
}

/** The factor's block columns with the rows [start, end) of their diagonal tiles. */
function placed<M>({ ops, columns }: CholeskyFactor<M>) {
  let end = 0;
  return columns.map((column) => {
    const start = end;
    end += ops.shape(column.inverse)[0];
    return { ...column, start, end };
  });
}
