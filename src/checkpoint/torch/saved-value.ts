// What every layout of torch.save comes down to. Knows no layout.

import type { FileHandle } from 'node:fs/promises';
import { MalmenError } from '../../errors.js';
import { storageBytes } from '../../tensor.js';
import type { Checksum } from '../weight-file.js';
import { type TorchStorage, torchGlobals, torchStorage } from './torch-values.js';
import { type PickleValue, unpickle } from './unpickle.js';

export interface SavedValue {
  readonly value: PickleValue;
  /** First byte in the file of a storage, by its key. */
  readonly storageOffsets: ReadonlyMap<string, number>;
  readonly checksums: readonly Checksum[];
}

/** An open file. */
export interface OpenFile {
  readonly handle: FileHandle;
  readonly path: string;
  readonly size: number;
}

/** A pickle of tensors, with the storages that it names, by key. */
export interface PickledTensors {
  readonly value: PickleValue;
  readonly storages: ReadonlyMap<string, TorchStorage>;
  /** Position after the pickle. */
  readonly end: number;
}

/** A pickle larger than this has something else than names and shapes in it. */
export const largestPickleBytes = 256 * 2 ** 20;

/** @throws MalmenError when one storage is described in two ways */
export function unpickleTensors(bytes: Uint8Array, where: string): PickledTensors {
  const storages = new Map<string, TorchStorage>();
  const persistent = (id: PickleValue) => {
    const storage = torchStorage(id);
    const known = storages.get(storage.key) ?? storage;
    if (known.dtype !== storage.dtype || known.elements !== storage.elements) {
      throw new Error(`storage '${storage.key}' is described in two ways`);
    }
    storages.set(storage.key, known);
    return storage;
  };
  return { ...unpickle(bytes, { where, globals: torchGlobals, persistent }), storages };
}

/** @throws MalmenError when a storage's bytes are not those that its elements need */
export function assertStorageBytes(path: string, { key, dtype, elements }: TorchStorage, bytes: number): void {
  const needs = elements * storageBytes[dtype];
  if (bytes >= needs) return;
  throw new MalmenError(
    'bad-input',
    `${path}: storage '${key}' should have ${needs} bytes, the file has ${bytes}; it is damaged or truncated`,
  );
}
