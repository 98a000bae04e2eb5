// MatrixOps in plain loops: float32 storage, float64 sums. It also watches the handles: every one released exactly once,
// none used after its release, no view released or used after its matrix.

import type { MatrixOps, ProductOptions } from '../../src/linalg/matrix-ops.js';
import { f32, type TensorOf } from '../../src/tensor.js';

export interface RefMatrix {
  readonly data: Float32Array;
  readonly rows: number;
  readonly columns: number;
  /** The matrix a view looks into, itself for one that is no view. */
  readonly base: RefMatrix | undefined;
  released: boolean;
}

export class ReferenceOps implements MatrixOps<RefMatrix> {
  /** Handles made and not yet released. */
  live = 0;
  /** Float32 numbers held now, and the most that were held. */
  held = 0;
  peak = 0;
  /** Operations so far that make a matrix; the one numbered `failAt` (from 0) fails instead. */
  made = 0;
  failAt = -1;

  async upload(tensor: TensorOf<'f32'>): Promise<RefMatrix> {
    return this.#make(tensor.shape[0]!, tensor.shape[1]!, (r, c) => tensor.data[r * tensor.shape[1]! + c]!);
  }

  async download(matrix: RefMatrix): Promise<TensorOf<'f32'>> {
    checkAlive(matrix);
    return f32(matrix.data.slice(), [matrix.rows, matrix.columns]);
  }

  shape(matrix: RefMatrix): readonly [number, number] {
    checkAlive(matrix);
    return [matrix.rows, matrix.columns];
  }

  rows(matrix: RefMatrix, start: number, end: number): RefMatrix {
    checkAlive(matrix);
    if (!(0 <= start && start < end && end <= matrix.rows))
      throw new Error(`rows [${start}, ${end}) of ${matrix.rows}`);
    const data = matrix.data.subarray(start * matrix.columns, end * matrix.columns);
    return { data, rows: end - start, columns: matrix.columns, base: matrix.base ?? matrix, released: false };
  }

  async columns(matrix: RefMatrix, start: number, end: number): Promise<RefMatrix> {
    checkAlive(matrix);
    if (end > matrix.columns) throw new Error(`columns [${start}, ${end}) of ${matrix.columns}`);
    return this.#make(matrix.rows, end - start, (r, c) => matrix.data[r * matrix.columns + start + c]!);
  }

  async stackRows(matrices: readonly RefMatrix[]): Promise<RefMatrix> {
    matrices.forEach(checkAlive);
    const columns = matrices[0]!.columns;
    if (matrices.some((matrix) => matrix.columns !== columns)) throw new Error('stackRows: widths differ');
    const all = matrices.flatMap((matrix) => [...matrix.data]);
    return this.#make(all.length / columns, columns, (r, c) => all[r * columns + c]!);
  }

  async transpose(matrix: RefMatrix): Promise<RefMatrix> {
    checkAlive(matrix);
    return this.#make(matrix.columns, matrix.rows, (r, c) => at(matrix, r, c, true));
  }

  async multiply(a: RefMatrix, b: RefMatrix, options: ProductOptions = {}): Promise<RefMatrix> {
    const { rows, columns, value } = product(a, b, options);
    return this.#make(rows, columns, value);
  }

  async setProduct(target: RefMatrix, a: RefMatrix, b: RefMatrix, options: ProductOptions = {}): Promise<void> {
    target.data.fill(Number.NaN); // what was there must not be read
    this.#addInPlace(target, a, b, options, false);
  }

  async addProduct(target: RefMatrix, a: RefMatrix, b: RefMatrix, options: ProductOptions = {}): Promise<void> {
    this.#addInPlace(target, a, b, options, true);
  }

  #addInPlace(target: RefMatrix, a: RefMatrix, b: RefMatrix, options: ProductOptions, add: boolean): void {
    checkAlive(target);
    for (const operand of [a, b]) if (overlap(target, operand)) throw new Error('the target overlaps an operand');
    const { rows, columns, value } = product(a, b, options);
    if (target.rows !== rows || target.columns !== columns) throw new Error('the target has another shape');
    if (this.made++ === this.failAt) throw new Error('the device failed');
    for (let i = 0; i < target.data.length; i++) {
      const sum = value(Math.floor(i / columns), i % columns);
      target.data[i] = add ? target.data[i]! + sum : sum;
    }
  }

  async addScaled(a: RefMatrix, factor: number, b: RefMatrix): Promise<RefMatrix> {
    checkAlive(a);
    checkAlive(b);
    if (a.rows !== b.rows || a.columns !== b.columns) throw new Error('addScaled: shapes differ');
    return this.#make(a.rows, a.columns, (r, c) => at(a, r, c, false) + factor * at(b, r, c, false));
  }

  async dot(a: RefMatrix, b: RefMatrix): Promise<number> {
    checkAlive(a);
    checkAlive(b);
    if (a.rows !== b.rows || a.columns !== b.columns) throw new Error('dot: shapes differ');
    return a.data.reduce((sum, value, i) => sum + value * b.data[i]!, 0);
  }

  release(...matrices: readonly RefMatrix[]): void {
    for (const matrix of matrices) {
      checkAlive(matrix);
      if (matrix.base !== undefined) throw new Error('a view was released');
      matrix.released = true;
      this.live--;
      this.held -= matrix.data.length;
    }
  }

  #make(rows: number, columns: number, value: (row: number, column: number) => number): RefMatrix {
    if (rows < 1 || columns < 1) throw new Error(`a matrix of [${rows}, ${columns}]`);
    if (this.made++ === this.failAt) throw new Error('the device failed');
    const data = Float32Array.from({ length: rows * columns }, (_, i) => value(Math.floor(i / columns), i % columns));
    this.live++;
    this.held += data.length;
    this.peak = Math.max(this.peak, this.held);
    return { data, rows, columns, base: undefined, released: false };
  }
}

function product(a: RefMatrix, b: RefMatrix, { transposeA = false, transposeB = false, alpha = 1 }: ProductOptions) {
  for (const matrix of [a, b]) checkAlive(matrix);
  const [rows, inner] = transposeA ? [a.columns, a.rows] : [a.rows, a.columns];
  const [innerB, columns] = transposeB ? [b.columns, b.rows] : [b.rows, b.columns];
  if (inner !== innerB) throw new Error(`product: inner sizes ${inner} and ${innerB}`);
  const value = (r: number, c: number) => {
    let sum = 0;
    for (let i = 0; i < inner; i++) sum += at(a, r, i, transposeA) * at(b, i, c, transposeB);
    return alpha * sum;
  };
  return { rows, columns, value };
}

function overlap(a: RefMatrix, b: RefMatrix): boolean {
  if (a.data.buffer !== b.data.buffer) return false;
  return (
    a.data.byteOffset < b.data.byteOffset + b.data.byteLength &&
    b.data.byteOffset < a.data.byteOffset + a.data.byteLength
  );
}

function at(matrix: RefMatrix, row: number, column: number, transposed: boolean): number {
  return transposed ? matrix.data[column * matrix.columns + row]! : matrix.data[row * matrix.columns + column]!;
}

function checkAlive(matrix: RefMatrix): void {
  if ((matrix.base ?? matrix).released) throw new Error('a matrix was used after its release');
}
