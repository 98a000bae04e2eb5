// K^T K of rows that come in chunks of any height. Knows nothing of what the rows are.

import { f32, type TensorOf } from '../tensor.js';
import { addGramOfColumns, defaultTile, tileStarts } from './block-columns.js';
import { withHandles } from './handle-scope.js';
import type { MatrixOps } from './matrix-ops.js';
import { rowsAtOnce } from './rows-at-once.js';

/**
 * Sums the lower half only, over many rows at once. Peak memory in float32 numbers, k the width and r the rows at once:
 * k^2/2 + 4 r k.
 */
export class GramSum<M> {
  readonly #ops: MatrixOps<M>;
  readonly #size: number;
  readonly #tile: number;
  readonly #sums: M[] = [];
  readonly #pending: M[] = [];
  #pendingRows = 0;

  constructor(ops: MatrixOps<M>, size: number, tile = defaultTile(size)) {
    this.#ops = ops;
    this.#size = size;
    this.#tile = tile;
  }

  /** Adds the products of K `[n, size]`, which stays the caller's. */
  async add(rows: M): Promise<void> {
    this.#pending.push(await this.#ops.stackRows([rows]));
    this.#pendingRows += this.#ops.shape(rows)[0];
    if (this.#pendingRows >= rowsAtOnce) await this.#sumPending();
  }

  /** The whole matrix `[size, size]`; the sum is used up. At least one row was added. */
  async take(): Promise<TensorOf<'f32'>> {
    if (this.#pendingRows > 0) await this.#sumPending();
    const whole = new Float32Array(this.#size * this.#size);
    for (const [at, start] of tileStarts(this.#size, this.#tile).entries()) {
      this.#copy(await this.#ops.download(this.#sums[at]!), start, whole);
    }
    this.release();
    return f32(whole, [this.#size, this.#size]);
  }

  release(): void {
    this.#ops.release(...this.#sums.splice(0), ...this.#pending.splice(0));
    this.#pendingRows = 0;
  }

  #sumPending(): Promise<void> {
    return withHandles(this.#ops, async (scope) => {
      const parts = this.#pending.splice(0).map((part) => scope.adopt(part));
      this.#pendingRows = 0;
      await addGramOfColumns(this.#ops, this.#sums, await scope.own(this.#ops.stackRows(parts)), this.#tile);
    });
  }

  /** A block column and its mirror image. */
  #copy({ data, shape: [height, width] }: TensorOf<'f32'>, start: number, whole: Float32Array): void {
    for (let row = 0; row < height!; row++) {
      for (let column = 0; column < width!; column++) {
        const value = data[row * width! + column]!;
        whole[(start + row) * this.#size + start + column] = value;
        whole[(start + column) * this.#size + start + row] = value;
      }
    }
  }
}
