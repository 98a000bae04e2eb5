// Chunks of keys with the wanted changes beside them, kept until there are enough to multiply at once.
// Knows nothing of what is done with them.

import { allSettled, withHandles } from './handle-scope.js';
import type { MatrixOps } from './matrix-ops.js';
import { RowBuffer } from './row-buffer.js';

/** The same rows of K `[n, k]` and of D `[n, v]`. */
export interface KeyRows<M> {
  readonly keys: M;
  readonly changes: M;
}

/** Owns copies of the chunks that were added. */
export class KeyRowBuffer<M> {
  readonly #ops: MatrixOps<M>;
  readonly #keys: RowBuffer<M>;
  readonly #changes: RowBuffer<M>;

  constructor(ops: MatrixOps<M>) {
    this.#ops = ops;
    this.#keys = new RowBuffer(ops);
    this.#changes = new RowBuffer(ops);
  }

  /** Rows held now. */
  get count(): number {
    return this.#keys.count;
  }

  async add({ keys, changes }: KeyRows<M>): Promise<void> {
    await allSettled(this.#keys.add(keys), this.#changes.add(changes));
  }

  /** All rows in the order they were added, owned by the caller; the buffer is empty then. Needs at least one chunk. */
  take(): Promise<KeyRows<M>> {
    return withHandles(this.#ops, async (scope) => {
      const [keys, changes] = await allSettled(scope.own(this.#keys.take()), scope.own(this.#changes.take()));
      return { keys: scope.give(keys), changes: scope.give(changes) };
    });
  }

  release(): void {
    this.#keys.release();
    this.#changes.release();
  }
}
