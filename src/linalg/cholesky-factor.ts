// The form of a blocked Cholesky factor, for those who make one and those who solve with it.

import type { MatrixOps } from './matrix-ops.js';

/** Block column j of L: L_jj^-T `[tile, tile]`, and L[(j + 1) * tile.., j] below that; the last column has nothing below. */
export interface FactorColumn<M> {
  readonly inverse: M;
  readonly below?: M;
}

/** A = L L^T. */
export interface CholeskyFactor<M> {
  readonly ops: MatrixOps<M>;
  readonly size: number;
  readonly columns: readonly FactorColumn<M>[];
  /** All its matrices, for their owner to release. */
  readonly handles: readonly M[];
}

/** Rows [start, end of matrix) as a view. */
export function rowsFrom<M>(ops: MatrixOps<M>, matrix: M, start: number): M {
  return ops.rows(matrix, start, ops.shape(matrix)[0]);
}
