// Chunks of rows, kept until there are enough to multiply at once. Knows nothing of what is done with them.

import type { MatrixOps } from './matrix-ops.js';

/**
 * Rows of keys that are gathered before their products are summed, while an LM batch may bring a hundred: every sum reads and
 * writes the whole Gram matrix, which takes as long as the product itself at about a hundred rows. A Gram matrix that mostly
 * stays in the cache needs fewer; gathered for every layer that is edited, more rows would take as much memory as its sums.
 */
export function rowsAtOnce(keySize: number): number {
  return keySize <= 4096 ? 512 : 1024;
}

/** Owns copies of the chunks that were added. */
export class RowBuffer<M> {
  readonly #ops: MatrixOps<M>;
  readonly #chunks: M[] = [];
  #count = 0;

  constructor(ops: MatrixOps<M>) {
    this.#ops = ops;
  }

  /** Rows held now. */
  get count(): number {
    return this.#count;
  }

  async add(rows: M): Promise<void> {
    this.#chunks.push(await this.#ops.stackRows([rows]));
    this.#count += this.#ops.shape(rows)[0];
  }

  /** All rows in the order they were added, owned by the caller; the buffer is empty then. Needs at least one chunk. */
  async take(): Promise<M> {
    const single = this.#chunks.length === 1;
    const rows = single ? this.#chunks.pop()! : await this.#ops.stackRows(this.#chunks);
    this.release();
    return rows;
  }

  release(): void {
    this.#ops.release(...this.#chunks.splice(0));
    this.#count = 0;
  }
}
