// Chunks of rows (keys and the wanted changes beside them), kept until there are enough to multiply at once.
// Knows nothing of what is done with them.

import { allSettled, withHandles } from './handle-scope.js';
import type { MatrixOps } from './matrix-ops.js';

/** The same rows of K `[n, k]` and of D `[n, v]`. */
export interface KeyRows<M> {
  readonly keys: M;
  readonly changes: M;
}

/** Owns copies of the chunks that were added. */
export class KeyRowBuffer<M> {
  readonly #ops: MatrixOps<M>;
  readonly #keys: M[] = [];
  readonly #changes: M[] = [];
  #count = 0;

  constructor(ops: MatrixOps<M>) {
    this.#ops = ops;
  }

  /** Rows held now. */
  get count(): number {
    return this.#count;
  }

  async add({ keys, changes }: KeyRows<M>): Promise<void> {
    const copy = await this.#stack([keys], [changes]);
    this.#keys.push(copy.keys);
    this.#changes.push(copy.changes);
    this.#count += this.#ops.shape(keys)[0];
  }

  /** All rows in the order they were added, owned by the caller; the buffer is empty then. Needs at least one chunk. */
  async take(): Promise<KeyRows<M>> {
    if (this.#keys.length === 1) {
      this.#count = 0;
      return { keys: this.#keys.pop()!, changes: this.#changes.pop()! };
    }
    const stacked = await this.#stack(this.#keys, this.#changes);
    this.release();
    return stacked;
  }

  release(): void {
    this.#ops.release(...this.#keys.splice(0), ...this.#changes.splice(0));
    this.#count = 0;
  }

  #stack(keys: readonly M[], changes: readonly M[]): Promise<KeyRows<M>> {
    return withHandles(this.#ops, async (scope) => {
      const stack = (matrices: readonly M[]) => scope.own(this.#ops.stackRows(matrices));
      const stacked = await allSettled(stack(keys), stack(changes));
      return { keys: scope.give(stacked[0]), changes: scope.give(stacked[1]) };
    });
  }
}
