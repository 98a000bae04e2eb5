// Ownership of matrix handles: what a computation made and did not hand over is released when it ends, also by an error.
// Knows nothing of what is computed.

import type { MatrixOps } from './matrix-ops.js';

/** The handles that one computation owns. */
export class HandleScope<M> {
  readonly #owned = new Set<M>();

  constructor(readonly ops: MatrixOps<M>) {}

  /** Owns the matrix that the promise gives. */
  async own(making: Promise<M>): Promise<M> {
    return this.adopt(await making);
  }

  adopt(matrix: M): M {
    this.#owned.add(matrix);
    return matrix;
  }

  /** Hands the matrix over to the caller. */
  give(matrix: M): M {
    this.#owned.delete(matrix);
    return matrix;
  }

  /** Hands one matrix over to the caller and releases all others. */
  giveOnly(matrix: M): M {
    this.give(matrix);
    this.releaseAll();
    return matrix;
  }

  /** Releases before the end what is no longer needed; a matrix that this scope does not own is left alone. */
  release(matrix: M): void {
    if (this.#owned.delete(matrix)) this.ops.release(matrix);
  }

  releaseAll(): void {
    this.ops.release(...this.#owned);
    this.#owned.clear();
  }
}

/** Runs `work` and then releases what it still owns. */
export async function withHandles<M, R>(ops: MatrixOps<M>, work: (scope: HandleScope<M>) => Promise<R>): Promise<R> {
  const scope = new HandleScope(ops);
  try {
    return await work(scope);
  } finally {
    scope.releaseAll();
  }
}

/** Runs `work`, whose result goes on owning the scope's handles; they are released here only if it fails. */
export async function keepHandles<M, R>(ops: MatrixOps<M>, work: (scope: HandleScope<M>) => Promise<R>): Promise<R> {
  const scope = new HandleScope(ops);
  try {
    return await work(scope);
  } catch (error) {
    scope.releaseAll();
    throw error;
  }
}

/** Like `Promise.all`, but waits for the others before it throws, so that none makes or uses a handle after its scope ended. */
export async function allSettled<T extends readonly unknown[]>(
  ...making: { readonly [K in keyof T]: Promise<T[K]> }
): Promise<T> {
  await Promise.allSettled(making);
  return (await Promise.all(making)) as unknown as T;
}
