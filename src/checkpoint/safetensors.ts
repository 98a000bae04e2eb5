// Safetensors files: headers read and checked, files written as a stream and whole or not at all.
// Knows no model.

import { type FileHandle, realpath } from 'node:fs/promises';
import { fileError, MalmenError } from '../errors.js';
import {
  elementCount,
  f32ToBf16,
  f32ToF16,
  type LazyTensor,
  type StorageDType,
  storageBytes,
  type Tensor,
} from '../tensor.js';
import { writeAtomic } from '../util/atomic-file.js';
import { bytesOf } from '../util/bytes-of.js';
import { freeMemory } from '../util/free-memory.js';
import { readFully, withFile } from './read-file.js';
import { formatHeader, parseHeader } from './safetensors-header.js';
import { type TensorEntry, tensorBytes } from './stored-tensor.js';
import type { WeightFile } from './weight-file.js';

/** The format's own limit. */
const maxHeaderBytes = 100_000_000;

/** Reads and checks a header: every tensor's range lies in the file, fits its shape and dtype, and overlaps no other. */
export async function readSafetensorsHeader(file: string): Promise<WeightFile> {
  const path = await realpath(file).catch((error) => {
    throw fileError(error, file, 'reading');
  });
  return withFile(path, async (handle) => {
    const size = await regularFileSize(handle, file);
    const headerBytes = await readHeaderLength(handle, file, size);
    const json = new Uint8Array(headerBytes);
    await readFully(handle, json, { path, position: 8 });
    const dataStart = 8 + headerBytes;
    const { metadata, entries } = parseHeader(json, { file, dataBytes: size - dataStart });
    const located = entries.map(({ name, dtype, shape, start, end }) => {
      return [name, { name, dtype, shape, path, offset: dataStart + start, bytes: end - start }] as const;
    });
    return { path, metadata, tensors: new Map(located), checksums: [] };
  });
}

async function regularFileSize(handle: FileHandle, file: string): Promise<number> {
  const info = await handle.stat();
  if (!info.isFile()) throw new MalmenError('bad-input', `${file}: a safetensors file was expected, this is no file`);
  return info.size;
}

async function readHeaderLength(handle: FileHandle, file: string, size: number): Promise<number> {
  const fail = (problem: string) => new MalmenError('bad-input', `${file}: ${problem}`);
  if (size < 8) throw fail(`${size} bytes are too few for a header; the file is truncated or not safetensors`);
  const length = new DataView(new ArrayBuffer(8));
  await readFully(handle, new Uint8Array(length.buffer), { path: file, position: 0 });
  const headerBytes = Number(length.getBigUint64(0, true));
  if (headerBytes > maxHeaderBytes) {
    throw fail(`a header of ${headerBytes} bytes is over the limit of ${maxHeaderBytes}; not a safetensors file?`);
  }
  if (8 + headerBytes > size) {
    throw fail(`the header should have ${headerBytes} bytes, ${size - 8} follow; the file is truncated`);
  }
  return headerBytes;
}

/** A tensor to be written: its bytes at once or in pieces. */
export interface TensorSource {
  readonly name: string;
  readonly dtype: StorageDType;
  readonly shape: readonly number[];
  readonly bytes: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/**
 * Writes a file in the given order of tensors, whole or not at all.
 * @throws MalmenError that names the file; RangeError when a source repeats a name or gives other bytes than its shape needs
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorSource[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const header = formatHeader(tensors, metadata);
  await writeAtomic(path, async (file) => {
    await file.writeFile(header);
    for (const tensor of tensors) await writeData(file, tensor);
  });
}

async function writeData(file: FileHandle, { name, dtype, shape, bytes }: TensorSource): Promise<void> {
  const expected = elementCount(shape) * storageBytes[dtype];
  let written = 0;
  for await (const piece of bytes()) {
    await file.writeFile(piece);
    written += piece.byteLength;
  }
  if (written === expected) return;
  throw new RangeError(`tensor '${name}': ${dtype} of shape [${shape}] needs ${expected} bytes, got ${written}`);
}

/** A tensor as it will be stored, floats in the dtype asked for. */
export function tensorSource(
  name: string,
  tensor: Tensor | LazyTensor,
  dtype: StorageDType = tensor.dtype,
): TensorSource {
  const bytes = () => ('read' in tensor ? lazyBytes(name, tensor, dtype) : [storedBytes(name, tensor, dtype)]);
  return { name, dtype, shape: tensor.shape, bytes };
}

/** One tensor at a time: its memory is free before the next is read. */
async function* lazyBytes(name: string, lazy: LazyTensor, dtype: StorageDType): AsyncGenerator<Uint8Array> {
  const tensor = await lazy.read();
  try {
    yield storedBytes(name, tensor, dtype);
  } finally {
    freeMemory(tensor.data);
  }
}

/** A tensor's bytes in a dtype; floats are rounded to nearest even. */
function storedBytes(name: string, { dtype: from, data }: Tensor, dtype: StorageDType): Uint8Array {
  if (from === dtype) return bytesOf(data);
  if (data instanceof BigInt64Array) throw new TypeError(`tensor '${name}': int64 cannot be stored as ${dtype}`);
  if (dtype === 'f16') return bytesOf(f32ToF16(data));
  if (dtype === 'bf16') return bytesOf(f32ToBf16(data));
  if (dtype === 'f64') return bytesOf(Float64Array.from(data));
  throw new TypeError(`tensor '${name}': float32 cannot be stored as ${dtype}`);
}

/** Doubles, stored as they are. */
export function float64Source(name: string, data: Float64Array, shape: readonly number[]): TensorSource {
  return { name, dtype: 'f64', shape, bytes: () => [bytesOf(data)] };
}

/** A tensor of another file, byte for byte. */
export function copiedSource(entry: TensorEntry): TensorSource {
  return { name: entry.name, dtype: entry.dtype, shape: entry.shape, bytes: () => tensorBytes(entry) };
}
