// Solving with a blocked Cholesky factor, for many right-hand sides at once: matrix products only.
// Knows no normal equation.

import { type TensorOf, zeros } from '../tensor.js';
import { type CholeskyFactor, rowsFrom } from './cholesky.js';
import { type HandleScope, withHandles } from './handle-scope.js';

/** X of A X = B, all right-hand sides `b` `[size, columns]` at once; `b` stays the caller's. Needs room for two more of it. */
export async function choleskySolve<M>(factor: CholeskyFactor<M>, b: M): Promise<M> {
  return withHandles(factor.ops, async (scope) => {
    const forward = await solveForward(scope, factor, b);
    return scope.give(await solveBackward(scope, factor, forward));
  });
}

/** L^-T `[size, size]`, the upper triangular W with W W^T = A^-1. */
export async function inverseTransposed<M>(factor: CholeskyFactor<M>): Promise<M> {
  const { ops, size } = factor;
  return withHandles(ops, async (scope) => {
    const tiles: M[] = [];
    let start = 0;
    for (const { inverse } of factor.columns) {
      const [width] = ops.shape(inverse);
      tiles.push(await scope.own(ops.upload(identityRows(start, width, size))));
      start += width;
    }
    return scope.give(await solveBackward(scope, factor, tiles));
  });
}

/** Rows [start, start + height) of the identity matrix. */
function identityRows(start: number, height: number, size: number): TensorOf<'f32'> {
  const rows = zeros([height, size]);
  for (let row = 0; row < height; row++) rows.data[row * size + start + row] = 1;
  return rows;
}

/** L Y = B: y_j = L_jj^-1 b_j, and what lies below loses L_ij y_j. Gives Y as tiles. */
async function solveForward<M>(scope: HandleScope<M>, factor: CholeskyFactor<M>, b: M): Promise<M[]> {
  const { ops } = scope;
  const tiles: M[] = [];
  let rest = b;
  for (const { inverse, below } of factor.columns) {
    const [width] = ops.shape(inverse);
    const y = await scope.own(ops.multiply(inverse, ops.rows(rest, 0, width), { transposeA: true }));
    tiles.push(y);
    if (below === undefined) break;
    const next = await scope.own(ops.multiply(below, y, { alpha: -1, plus: rowsFrom(ops, rest, width) }));
    scope.release(rest);
    rest = next;
  }
  scope.release(rest);
  return tiles;
}

/** L^T X = Y from the last tile up: x_j = L_jj^-T (y_j - L_below,j^T x_below). Consumes the tiles of Y. */
async function solveBackward<M>(scope: HandleScope<M>, factor: CholeskyFactor<M>, tiles: M[]): Promise<M> {
  const { ops } = scope;
  const { inverse } = factor.columns.at(-1)!;
  let solved = await scope.own(ops.multiply(inverse, tiles.at(-1)!));
  for (let j = factor.columns.length - 2; j >= 0; j--) {
    const { inverse, below } = factor.columns[j]!;
    scope.release(tiles[j + 1]!);
    const right = await scope.own(ops.multiply(below!, solved, { transposeA: true, alpha: -1, plus: tiles[j]! }));
    const x = await scope.own(ops.multiply(inverse, right));
    const stacked = await scope.own(ops.stackRows([x, solved]));
    for (const used of [right, x, solved]) scope.release(used);
    solved = stacked;
  }
  return solved;
}
