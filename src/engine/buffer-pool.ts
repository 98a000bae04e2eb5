// Memory of released tensors: kept for the next output of the same length, or given back to the system at once.
// Knows no session.

import { freeMemory } from '../util/free-memory.js';

/**
 * Fresh memory costs a page fault per 4 KiB, which for large outputs is more than the work itself: so buffers are used again.
 * Bounded, oldest dropped first. What is dropped does not wait for the garbage collector, which sees large arrays too late to
 * keep a bound on memory.
 */
export class BufferPool {
  /** Enough for one set of weight gradients of a small model; what is beyond goes back to the system. */
  static readonly limitBytes = 256 * 2 ** 20;
  /** Below this the allocator is fast by itself. */
  static readonly smallestElements = 16_384;
  readonly #free: Float32Array[] = [];
  #bytes = 0;

  take(count: number): Float32Array {
    const at = this.#free.findIndex((buffer) => buffer.length === count);
    if (at < 0) return new Float32Array(count);
    const [buffer] = this.#free.splice(at, 1);
    this.#bytes -= buffer!.byteLength;
    return buffer!;
  }

  /** The buffer must not be used any more by anybody. */
  give(buffer: Float32Array): void {
    if (buffer.length < BufferPool.smallestElements || buffer.byteLength !== buffer.buffer.byteLength) return;
    this.#free.push(buffer);
    this.#bytes += buffer.byteLength;
    while (this.#bytes > BufferPool.limitBytes) this.#drop();
  }

  clear(): void {
    while (this.#free.length > 0) this.#drop();
  }

  #drop(): void {
    const buffer = this.#free.shift()!;
    this.#bytes -= buffer.byteLength;
    freeMemory(buffer);
  }
}
