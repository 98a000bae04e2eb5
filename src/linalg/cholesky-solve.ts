// Solving with a blocked Cholesky factor, for many right-hand sides at once: matrix products only.
// Knows no normal equation.

import { type TensorOf, zeros } from '../tensor.js';
import { type CholeskyFactor, type FactorColumn, rowsFrom } from './cholesky-factor.js';
import { type HandleScope, withHandles } from './handle-scope.js';

/** X of A X = B, all right-hand sides `b` `[size, columns]` at once; `b` stays the caller's. Needs room for two more of it. */
export async function choleskySolve<M>(factor: CholeskyFactor<M>, b: M): Promise<M> {
  return withHandles(factor.ops, async (scope) => {
    const x = await scope.own(factor.ops.stackRows([b]));
    const y = await solveForward(scope, factor, x);
    await solveBackward(scope, factor, async ({ at }) => y[at]!, x);
    return scope.give(x);
  });
}

/** L^-T `[size, size]`, the upper triangular W with W W^T = A^-1. */
export async function inverseTransposed<M>(factor: CholeskyFactor<M>): Promise<M> {
  const { ops, size } = factor;
  return withHandles(ops, async (scope) => {
    const inverse = await scope.own(ops.upload(zeros([size, size])));
    await solveBackward(scope, factor, (tile) => ops.upload(identityRows(tile, size)), inverse);
    return scope.give(inverse);
  });
}

/** Some rows of the identity matrix. */
function identityRows({ start, end }: FactorTile<unknown>, size: number): TensorOf<'f32'> {
  const rows = zeros([end - start, size]);
  for (let row = start; row < end; row++) rows.data[(row - start) * size + row] = 1;
  return rows;
}

/** L Y = B: y_j = L_jj^-1 b_j, and what lies below loses L_ij y_j. Uses up `b`; gives Y as tiles of the scope's. */
async function solveForward<M>(scope: HandleScope<M>, factor: CholeskyFactor<M>, b: M): Promise<M[]> {
  const { ops } = factor;
  const tiles: M[] = [];
  for (const { inverse, below, start, end } of tilesOf(factor)) {
    const y = await scope.own(ops.multiply(inverse, ops.rows(b, start, end), { transposeA: true }));
    tiles.push(y);
    if (below !== undefined) await ops.addProduct(rowsFrom(ops, b, end), below, y, { alpha: -1 });
  }
  return tiles;
}

/**
 * L^T X = Y into `x`, from the last tile up: x_j = L_jj^-T (y_j - L_below,j^T x_below). What `tileOf` gives of Y is used up and
 * released.
 */
async function solveBackward<M>(
  scope: HandleScope<M>,
  factor: CholeskyFactor<M>,
  tileOf: (tile: FactorTile<M>) => Promise<M>,
  x: M,
): Promise<void> {
  const { ops } = factor;
  for (const tile of tilesOf(factor).reverse()) {
    const { inverse, below, start, end } = tile;
    const y = await scope.own(tileOf(tile));
    if (below !== undefined) await ops.addProduct(y, below, rowsFrom(ops, x, end), { transposeA: true, alpha: -1 });
    await ops.setProduct(ops.rows(x, start, end), inverse, y);
    scope.release(y);
  }
}

/** A block column, its place among the others, and the rows [start, end) of its diagonal tile. */
interface FactorTile<M> extends FactorColumn<M> {
  readonly at: number;
  readonly start: number;
  readonly end: number;
}

function tilesOf<M>({ ops, columns }: CholeskyFactor<M>): FactorTile<M>[] {
  let end = 0;
  return columns.map((column, at) => {
    const start = end;
    end += ops.shape(column.inverse)[0];
    return { ...column, at, start, end };
  });
}
