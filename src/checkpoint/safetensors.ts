// Safetensors files: tensors read at their positions, files written as a stream and whole or not at all.
// Knows no model.

import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { fileError, MalmenError } from '../errors.js';
import {
  bf16ToF32,
  elementCount,
  f16ToF32,
  f32ToBf16,
  f32ToF16,
  type StorageDType,
  storageBytes,
  type Tensor,
} from '../tensor.js';
import { writeAtomic } from '../util/atomic-file.js';
import { formatHeader, parseHeader } from './safetensors-header.js';

export interface TensorEntry {
  readonly name: string;
  readonly dtype: StorageDType;
  readonly shape: readonly number[];
  /** Symbolic links resolved: memory mapping refuses a link that leaves its folder. */
  readonly path: string;
  /** First byte in the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface SafetensorsFile {
  /** Absolute, symbolic links resolved. */
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** By name, in the order of their data. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** The format's own limit. */
const maxHeaderBytes = 100_000_000;

/** Pieces in which data is copied and scanned: large enough to be fast, a few milliseconds of work each. */
const pieceBytes = 4 * 2 ** 20;

/** Reads and checks a header: every tensor's range lies in the file, fits its shape and dtype, and overlaps no other. */
export async function readSafetensorsHeader(file: string): Promise<SafetensorsFile> {
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
    return { path, metadata, tensors: new Map(located) };
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

/** Opens, uses and closes a file; failures name it. */
async function withFile<T>(path: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  try {
    // Without the flag a pipe in a file's place would block for ever.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return await use(handle);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, path, 'reading');
  }
}

/** One read may return less than asked for (above 2 GiB it must). */
async function readFully(
  handle: FileHandle,
  target: Uint8Array,
  { path, position }: { readonly path: string; readonly position: number },
): Promise<void> {
  const step = 2 ** 30;
  for (let done = 0; done < target.byteLength; ) {
    const { bytesRead } = await handle.read(target, done, Math.min(step, target.byteLength - done), position + done);
    if (bytesRead === 0) throw new MalmenError('bad-input', `${path}: ended early; the file changed while it was read`);
    done += bytesRead;
  }
}

/** One tensor: floats of any width as float32, int64 as it is. @throws MalmenError for other integers. */
export async function readTensor(entry: TensorEntry): Promise<Tensor> {
  const raw = await readRaw(entry);
  const { shape } = entry;
  switch (entry.dtype) {
    case 'f32':
      return { dtype: 'f32', shape, data: new Float32Array(raw) };
    case 'f64':
      return { dtype: 'f32', shape, data: new Float32Array(new Float64Array(raw)) };
    case 'f16':
      return { dtype: 'f32', shape, data: f16ToF32(new Uint16Array(raw)) };
    case 'bf16':
      return { dtype: 'f32', shape, data: bf16ToF32(new Uint16Array(raw)) };
    case 'i64':
      return { dtype: 'i64', shape, data: new BigInt64Array(raw) };
    default:
      throw new MalmenError(
        'unsupported',
        `${entry.path}: tensor '${entry.name}' has dtype ${entry.dtype}, expected a float or int64`,
      );
  }
}

/** Several tensors of a file, one after the other. @throws MalmenError `not-found` for a name that the file lacks. */
export async function readTensors(
  { path, tensors }: Pick<SafetensorsFile, 'path' | 'tensors'>,
  names: Iterable<string>,
): Promise<Map<string, Tensor>> {
  const read = new Map<string, Tensor>();
  for (const name of names) {
    const entry = tensors.get(name);
    if (!entry) throw new MalmenError('not-found', `${path}: no tensor '${name}'`);
    read.set(name, await readTensor(entry));
  }
  return read;
}

/** A tensor of doubles without rounding. */
export async function readFloat64(entry: TensorEntry): Promise<Float64Array> {
  if (entry.dtype !== 'f64')
    throw new MalmenError('bad-input', `${entry.path}: tensor '${entry.name}' must be F64, got ${entry.dtype}`);
  return new Float64Array(await readRaw(entry));
}

async function readRaw({ path, offset, bytes }: TensorEntry): Promise<ArrayBuffer> {
  const raw = new ArrayBuffer(bytes);
  await withFile(path, (handle) => readFully(handle, new Uint8Array(raw), { path, position: offset }));
  return raw;
}

/** A tensor's bytes as stored, in pieces that start at a multiple of 8. A piece is valid until the next is asked for. */
export async function* tensorBytes({ path, offset, bytes }: TensorEntry): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(Math.min(pieceBytes, bytes));
  const handle = await open(path).catch((error) => {
    throw fileError(error, path, 'reading');
  });
  try {
    for (let done = 0; done < bytes; done += pieceBytes) {
      const piece = buffer.subarray(0, bytes - done);
      await readFully(handle, piece, { path, position: offset + done });
      yield piece;
    }
  } finally {
    await handle.close();
  }
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
export function tensorSource(name: string, tensor: Tensor, dtype: StorageDType = tensor.dtype): TensorSource {
  return { name, dtype, shape: tensor.shape, bytes: () => [storedBytes(name, tensor, dtype)] };
}

function storedBytes(name: string, { dtype: from, data }: Tensor, dtype: StorageDType): Uint8Array {
  const asBytes = (view: ArrayBufferView) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  if (from === dtype) return asBytes(data);
  if (data instanceof BigInt64Array) throw new TypeError(`tensor '${name}': int64 cannot be stored as ${dtype}`);
  if (dtype === 'f16') return asBytes(f32ToF16(data));
  if (dtype === 'bf16') return asBytes(f32ToBf16(data));
  if (dtype === 'f64') return asBytes(Float64Array.from(data));
  throw new TypeError(`tensor '${name}': float32 cannot be stored as ${dtype}`);
}

/** Doubles, stored as they are. */
export function float64Source(name: string, data: Float64Array, shape: readonly number[]): TensorSource {
  return { name, dtype: 'f64', shape, bytes: () => [new Uint8Array(data.buffer, data.byteOffset, data.byteLength)] };
}

/** A tensor of another file, byte for byte. */
export function copiedSource(entry: TensorEntry): TensorSource {
  return { name: entry.name, dtype: entry.dtype, shape: entry.shape, bytes: () => tensorBytes(entry) };
}
