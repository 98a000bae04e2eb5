// torch.save's layout before the zip archive: five pickles (magic number, version, machine, value, keys of the storages), then
// the storages, each an element count and its bytes. Knows bytes and names, no model.

import { MalmenError } from '../../errors.js';
import { storageBytes } from '../../tensor.js';
import { readFully } from '../read-file.js';
import { PickleTruncated } from './pickle-reader.js';
import {
  assertStorageBytes,
  largestPickleBytes,
  type OpenFile,
  type PickledTensors,
  type SavedValue,
  unpickleTensors,
} from './saved-value.js';
import type { TorchStorage } from './torch-values.js';
import type { PickleValue } from './unpickle.js';

/** A pickle, in protocol 2 or later, of the number 0x1950a86a20f9469cfc6c. */
const magic = [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
const version = 1001;

export const isLegacy = (first: Uint8Array) => first[0] === 0x80 && magic.every((byte, at) => first[2 + at] === byte);

export async function readLegacy(file: OpenFile): Promise<SavedValue> {
  const pickles = await readPickles(file);
  const [, protocol, system, saved, keys] = pickles;
  assertReadable(file.path, protocol!.value, system!.value);
  const offsets = await locateStorages(file, keysOf(file.path, keys!.value), saved!.storages, keys!.end);
  return { value: saved!.value, storageOffsets: offsets, checksums: [] };
}

/** The five pickles; their ends count from the start of the file. How long they are shows only when they are read. */
async function readPickles(file: OpenFile): Promise<PickledTensors[]> {
  const smallest = 2 ** 20;
  for (let bytes = smallest; ; bytes *= 4) {
    const start = new Uint8Array(Math.min(bytes, file.size, largestPickleBytes));
    await readFully(file.handle, start, { path: file.path, position: 0 });
    try {
      return parsePickles(start, file.path);
    } catch (error) {
      if (!(error instanceof PickleTruncated)) throw error;
      if (start.byteLength < Math.min(file.size, largestPickleBytes)) continue;
      throw new MalmenError(
        'bad-input',
        `${file.path}: the pickles at its start do not end; it is truncated or damaged`,
        { cause: error },
      );
    }
  }
}

function parsePickles(bytes: Uint8Array, path: string): PickledTensors[] {
  const pickles: PickledTensors[] = [];
  let position = 0;
  for (const what of ['magic number', 'version', 'machine', 'value', 'list of storages']) {
    const pickle = unpickleTensors(bytes.subarray(position), `${path}: ${what}`);
    position += pickle.end;
    pickles.push({ ...pickle, end: position });
  }
  return pickles;
}

function assertReadable(path: string, protocol: PickleValue, system: PickleValue): void {
  if (protocol !== version) {
    throw new MalmenError(
      'unsupported',
      `${path}: version ${String(protocol)} of torch.save's older layout; ${version} is the one that is read`,
    );
  }
  if (system instanceof Map && system.get('little_endian') === false) {
    throw new MalmenError('unsupported', `${path}: saved with byte order 'big'; only little-endian files are read`);
  }
}

function keysOf(path: string, value: PickleValue): readonly string[] {
  const isKeys = Array.isArray(value) && value.every((key) => typeof key === 'string');
  if (isKeys && new Set(value).size === value.length) return value as readonly string[];
  throw new MalmenError('bad-input', `${path}: damaged: its list of storages is no list of different keys`);
}

async function locateStorages(
  { handle, path, size }: OpenFile,
  keys: readonly string[],
  storages: ReadonlyMap<string, TorchStorage>,
  start: number,
): Promise<Map<string, number>> {
  const missing = [...storages.keys()].find((key) => !keys.includes(key));
  if (missing !== undefined) throw new MalmenError('bad-input', `${path}: storage '${missing}' is not in the file`);
  const offsets = new Map<string, number>();
  let position = start;
  for (const key of keys) {
    const storage = storages.get(key);
    if (!storage) throw new MalmenError('bad-input', `${path}: storage '${key}' belongs to no tensor`);
    await assertCount({ handle, path, size }, storage, position);
    offsets.set(key, position + countBytes);
    position += countBytes + storage.elements * storageBytes[storage.dtype];
  }
  return offsets;
}

const countBytes = 8;

async function assertCount({ handle, path, size }: OpenFile, storage: TorchStorage, position: number): Promise<void> {
  assertStorageBytes(path, storage, size - position - countBytes);
  const count = new DataView(new ArrayBuffer(countBytes));
  await readFully(handle, new Uint8Array(count.buffer), { path, position });
  const elements = Number(count.getBigInt64(0, true));
  if (elements === storage.elements) return;
  throw new MalmenError(
    'bad-input',
    `${path}: storage '${storage.key}' has ${elements} elements, expected ${storage.elements}; the file is damaged`,
  );
}
