// A file of golden numbers with every tensor as doubles, whatever it is stored as. Reads the data itself, so that nothing but the
// header's parsing is shared with what is tested.

import { readFileSync } from 'node:fs';
import { readSafetensorsHeader } from '../../src/checkpoint/safetensors.js';
import type { TensorEntry } from '../../src/checkpoint/stored-tensor.js';
import { f32, type TensorOf } from '../../src/tensor.js';

export class StoredTensors {
  readonly names: readonly string[];
  readonly #entries: ReadonlyMap<string, TensorEntry>;
  readonly #bytes: Buffer;
  readonly #path: string;

  private constructor(path: string, entries: ReadonlyMap<string, TensorEntry>) {
    this.#path = path;
    this.#entries = entries;
    this.#bytes = readFileSync(path);
    this.names = [...entries.keys()];
  }

  static async open(path: string): Promise<StoredTensors> {
    return new StoredTensors(path, (await readSafetensorsHeader(path)).tensors);
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  shape(name: string): readonly number[] {
    return this.#entry(name).shape;
  }

  /** Row-major; float32, float64 and the integers of the golden files are doubles exactly. */
  numbers(name: string): Float64Array {
    const { dtype, offset, bytes } = this.#entry(name);
    const data = this.#bytes.buffer.slice(this.#bytes.byteOffset + offset, this.#bytes.byteOffset + offset + bytes);
    if (dtype === 'f64') return new Float64Array(data as ArrayBuffer);
    if (dtype === 'f32') return Float64Array.from(new Float32Array(data as ArrayBuffer));
    if (dtype === 'i64') return Float64Array.from(new BigInt64Array(data as ArrayBuffer), Number);
    throw new Error(`${this.#path}: '${name}' is ${dtype}; the golden numbers are f32, f64 or i64`);
  }

  number(name: string): number {
    return this.numbers(name)[0]!;
  }

  float32(name: string): TensorOf<'f32'> {
    return f32(Float32Array.from(this.numbers(name)), this.shape(name));
  }

  #entry(name: string): TensorEntry {
    const entry = this.#entries.get(name);
    if (!entry) throw new Error(`${this.#path}: no tensor '${name}'`);
    return entry;
  }
}
