// What linear algebra needs from whoever multiplies matrices: a handful of operations on opaque handles.
// Knows no runtime; the engine implements it, and tests implement it in plain loops.

import type { TensorOf } from '../tensor.js';

export interface ProductOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** Factor of the product, 1 unless given. */
  readonly alpha?: number;
}

/**
 * Operations on row-major float32 matrices that live elsewhere (a worker, a device). `M` is a handle to one; no matrix
 * has a side of 0. Calls may be issued without awaiting earlier ones as long as their operands are there. Every handle
 * that a promise gave is released exactly once, and no handle is used after its release; views are never released.
 */
export interface MatrixOps<M> {
  upload(tensor: TensorOf<'f32'>): Promise<M>;
  download(matrix: M): Promise<TensorOf<'f32'>>;
  shape(matrix: M): readonly [rows: number, columns: number];
  /** Rows [start, end) as a view: no copy, valid as long as `matrix` is. */
  rows(matrix: M, start: number, end: number): M;
  /** Columns [start, end), copied. */
  columns(matrix: M, start: number, end: number): Promise<M>;
  /** Matrices of one width on top of each other, copied. */
  stackRows(matrices: readonly M[]): Promise<M>;
  transpose(matrix: M): Promise<M>;
  /** alpha * op(a) op(b) */
  multiply(a: M, b: M, options?: ProductOptions): Promise<M>;
  /** Overwrites `target`, a matrix or a view of that shape which overlaps neither `a` nor `b`. */
  setProduct(target: M, a: M, b: M, options?: ProductOptions): Promise<void>;
  /** Adds to `target`, a matrix or a view of that shape which overlaps neither `a` nor `b`. */
  addProduct(target: M, a: M, b: M, options?: ProductOptions): Promise<void>;
  /** a + factor * b, of one shape. */
  addScaled(a: M, factor: number, b: M): Promise<M>;
  /** Sum of a_ij * b_ij, in float64. */
  dot(a: M, b: M): Promise<number>;
  release(...matrices: readonly M[]): void;
}
