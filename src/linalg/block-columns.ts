// The lower half of a symmetric matrix, stored by block columns, and the Gram matrices that are accumulated in it.
// Knows neither what is done with it nor the ridge.

import { withHandles } from './handle-scope.js';
import type { MatrixOps } from './matrix-ops.js';

/**
 * Width of a block column and side of a diagonal tile, for a Gram matrix of that size. Larger tiles make better matrix
 * products, but one thread factors the diagonal tile, and that costs its cube: 0.4 ms at 128, 2.3 ms at 256, 17 ms at 512
 * (`bench/cholesky-tile.ts`). Factor and two solves together were fastest with 128 up to a size of 1,024, with 256 at
 * 3,072 and 6,144, on two cores.
 */
export function defaultTile(size: number): number {
  return size <= 1024 ? 128 : 256;
}

/** Block column j holds rows [j * tile, size) and is `tile` wide, the last one less; above the diagonal nothing is read. */
export interface BlockColumns<M> {
  readonly size: number;
  readonly tile: number;
  readonly columns: readonly M[];
}

/** First row of every tile. */
export function tileStarts(size: number, tile: number): number[] {
  return Array.from({ length: Math.ceil(size / tile) }, (_, j) => j * tile);
}

/**
 * Adds the lower half of K^T K to `sums` in place, `keys` being K `[n, size]`; an empty `sums` is filled.
 * Needs room for a copy of `keys` and one block column. K is transposed once: rows of K^T are views, and the runtime
 * multiplies them faster than columns of K.
 */
export async function addGramOfColumns<M>(ops: MatrixOps<M>, sums: M[], keys: M, tile: number): Promise<void> {
  const [, size] = ops.shape(keys);
  await withHandles(ops, async (scope) => {
    const transposed = await scope.own(ops.transpose(keys)); // [size, n]
    for (const [j, start] of tileStarts(size, tile).entries()) {
      const block = ops.rows(transposed, start, Math.min(start + tile, size));
      const old = sums[j];
      const plus = old === undefined ? {} : { plus: old };
      sums[j] = await ops.multiply(ops.rows(transposed, start, size), block, { transposeB: true, ...plus }); // [size - start, tile]
      if (old !== undefined) ops.release(old);
    }
  });
}

/** The lower half of a symmetric matrix `[size, size]`, copied. */
export async function lowerBlockColumns<M>(ops: MatrixOps<M>, matrix: M, tile: number): Promise<M[]> {
  const [size] = ops.shape(matrix);
  return withHandles(ops, async (scope) => {
    const columns: M[] = [];
    for (const start of tileStarts(size, tile)) {
      columns.push(await scope.own(ops.columns(ops.rows(matrix, start, size), start, Math.min(start + tile, size))));
    }
    for (const column of columns) scope.give(column);
    return columns;
  });
}

/** The lower half of K K^T, `keys` being K `[size, k]`. */
export async function gramOfRows<M>(ops: MatrixOps<M>, keys: M, tile: number): Promise<BlockColumns<M>> {
  const [size] = ops.shape(keys);
  return withHandles(ops, async (scope) => {
    const columns: M[] = [];
    for (const start of tileStarts(size, tile)) {
      const block = ops.rows(keys, start, Math.min(start + tile, size));
      const column = ops.multiply(ops.rows(keys, start, size), block, { transposeB: true }); // [size - start, tile]
      columns.push(await scope.own(column));
    }
    for (const column of columns) scope.give(column);
    return { size, tile, columns };
  });
}
