// Records in memory, up to a limit: what an edit of several rounds asks again and again. Knows no model.

import { freeMemory } from '../util/free-memory.js';
import type { RecordStore } from './frozen-cache.js';

/** Keeps copies of the first records that there is room for. */
export class MemoryRecords implements RecordStore {
  readonly #limitBytes: number;
  readonly #records = new Map<string, Float32Array>();
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Of all records together. */
  get bytes(): number {
    return this.#bytes;
  }

  has(key: string): boolean {
    return this.#records.has(key);
  }

  async read(key: string): Promise<Float32Array | undefined> {
    return this.#records.get(key)?.slice();
  }

  async write(records: ReadonlyMap<string, Float32Array>): Promise<void> {
    for (const [key, record] of records) {
      if (this.#records.has(key) || this.#bytes + record.byteLength > this.#limitBytes) continue;
      this.#records.set(key, record.slice());
      this.#bytes += record.byteLength;
    }
  }

  /** Frees all of them. */
  clear(): void {
    for (const record of this.#records.values()) freeMemory(record);
    this.#records.clear();
    this.#bytes = 0;
  }
}
