// A file of weights, whatever its format: named tensors and where they lie. Knows no format.

import type { TensorEntry } from './stored-tensor.js';

export interface WeightFile {
  /** Absolute, symbolic links resolved. */
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** By name, in the file's order. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Of ranges that hold tensors: they must change with them. */
  readonly checksums: readonly Checksum[];
}

/** A CRC-32 of the bytes from `offset`, stored as 4 bytes, little-endian, at each of some positions of the same file. */
export interface Checksum {
  readonly offset: number;
  readonly bytes: number;
  readonly storedAt: readonly number[];
}
