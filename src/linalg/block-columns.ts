// The lower half of a symmetric matrix, stored by block columns, and the Gram matrices that are accumulated in it.
// Knows neither what is done with it nor the ridge.

import { withHandles } from './handle-scope.js';
import type { MatrixOps } from './matrix-ops.js';

/**
 * Width of a block column and side of a diagonal tile, for a Gram matrix of that size. Larger tiles make better matrix
 * products, and fewer of them go over what is left of the matrix; but one thread factors a tile up to 256, and that costs its
 * cube: 0.4 ms at 128, 2.3 ms at 256 (`bench/cholesky-tile.ts`). Factor and solve together were fastest with 128 up to a size
 * of 1,024, with 256 at 3,072 and 6,144, with 512 at 8,192 and with 1,024 at 16,384, on two cores.
 */
export function defaultTile(size: number): number {
  if (size <= 1024) return 128;
  if (size <= 6144) return 256;
  return size <= 12288 ? 512 : 1024;
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

/** Adds the lower half of K^T K to `sums` in place, from K^T `[size, n]`, whose rows are views; an empty `sums` is filled. */
export async function addGramOfColumns<M>(ops: MatrixOps<M>, sums: M[], transposed: M, tile: number): Promise<void> {
  const [size] = ops.shape(transposed);
  for (const [j, start] of tileStarts(size, tile).entries()) {
    const rest = ops.rows(transposed, start, size);
    const block = ops.rows(transposed, start, Math.min(start + tile, size));
    if (sums[j] === undefined)
      sums[j] = await ops.multiply(rest, block, { transposeB: true }); // [size - start, tile]
    else await ops.addProduct(sums[j], rest, block, { transposeB: true });
  }
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
