// K^T K of rows that come in chunks of any height. Knows nothing of what the rows are.

import { f32, type TensorOf } from '../tensor.js';
import { addGramOfColumns, defaultTile, tileStarts } from './block-columns.js';
import { withHandles } from './handle-scope.js';
import type { MatrixOps } from './matrix-ops.js';
import { RowBuffer, rowsAtOnce } from './row-buffer.js';

/**
 * Sums the lower half only, over many rows at once. Peak memory in float32 numbers, k the width and r the rows at once:
 * k^2/2 + 3 r k.
 */
export class GramSum<M> {
  readonly #ops: MatrixOps<M>;
  readonly #size: number;
  readonly #tile: number;
  readonly #sums: M[] = [];
  readonly #pending: RowBuffer<M>;

  constructor(ops: MatrixOps<M>, size: number, tile = defaultTile(size)) {
    this.#ops = ops;
    this.#size = size;
    this.#tile = tile;
    this.#pending = new RowBuffer(ops);
  }

  /** Adds the products of K `[n, size]`, which stays the caller's. */
  async add(rows: M): Promise<void> {
    await this.#pending.add(rows);
    if (this.#pending.count >= rowsAtOnce(this.#size)) await this.#sumPending();
  }

  /** The whole matrix `[size, size]`; the sum is used up. At least one row was added. */
  async take(): Promise<TensorOf<'f32'>> {
    if (this.#pending.count > 0) await this.#sumPending();
    const whole = new Float32Array(this.#size * this.#size);
    for (const [at, start] of tileStarts(this.#size, this.#tile).entries()) {
      this.#copy(await this.#ops.download(this.#sums[at]!), start, whole);
    }
    this.release();
    return f32(whole, [this.#size, this.#size]);
  }

  release(): void {
    this.#ops.release(...this.#sums.splice(0));
    this.#pending.release();
  }

  #sumPending(): Promise<void> {
    return withHandles(this.#ops, async (scope) => {
      const rows = await scope.own(this.#pending.take());
      const transposed = await scope.own(this.#ops.transpose(rows));
      await addGramOfColumns(this.#ops, this.#sums, transposed, this.#tile);
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
