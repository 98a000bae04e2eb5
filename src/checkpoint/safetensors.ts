// The safetensors format: 8 bytes header length, a JSON header, raw little-endian row-major data. Positioned reads, streamed
// and atomic writes. Knows no model.

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
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** The format's own limit. */
const maxHeaderBytes = 100_000_000;

const fileDtypes: Readonly<Record<string, StorageDType>> = {
  F64: 'f64',
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
  I64: 'i64',
  I32: 'i32',
  I16: 'i16',
  I8: 'i8',
  U8: 'u8',
  BOOL: 'bool',
};

const dtypeNames = new Map(Object.entries(fileDtypes).map(([name, dtype]) => [dtype, name]));

/** Reads and checks a header: every tensor's range lies in the file, fits its shape and dtype, and overlaps no other. */
export async function readSafetensorsHeader(file: string): Promise<SafetensorsFile> {
  try {
    const path = await realpath(file);
    const handle = await open(path);
    try {
      return await parseFile(handle, path, file);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, file, 'reading');
  }
}

async function parseFile(handle: FileHandle, path: string, file: string): Promise<SafetensorsFile> {
  const { size } = await handle.stat();
  if (size < 8) throw broken(file, `${size} bytes are too few for a header; the file is truncated or not safetensors`);
  const headerBytes = Number((await readBytes(handle, 0, 8)).readBigUInt64LE());
  if (headerBytes > maxHeaderBytes)
    throw broken(file, `a header of ${headerBytes} bytes is over the limit; not a safetensors file?`);
  const dataStart = 8 + headerBytes;
  if (dataStart > size)
    throw broken(file, `the header claims ${headerBytes} bytes, the file has ${size}; it is truncated`);
  const header = parseHeader((await readBytes(handle, 8, headerBytes)).toString('utf8'), file);
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(header)) {
    if (name !== '__metadata__')
      tensors.set(name, parseEntry(name, value, { path, file, dataStart, dataBytes: size - dataStart }));
  }
  checkCoverage([...tensors.values()], { file, dataStart, size });
  return { path, metadata: (header.__metadata__ ?? {}) as Record<string, string>, tensors };
}

async function readBytes(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  await readFully(handle, buffer, position);
  return buffer;
}

/** One read may return less than asked for (above 2 GiB it must). */
async function readFully(handle: FileHandle, target: Uint8Array, position: number): Promise<void> {
  const step = 2 ** 30;
  for (let done = 0; done < target.byteLength; ) {
    const { bytesRead } = await handle.read(target, done, Math.min(step, target.byteLength - done), position + done);
    if (bytesRead === 0)
      throw new MalmenError('bad-input', 'the file ended before its last tensor; it changed while it was read');
    done += bytesRead;
  }
}

function parseHeader(text: string, file: string): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    throw broken(file, `the header is not JSON (${(error as Error).message}); not a safetensors file?`);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw broken(file, 'the header is not a JSON object');
  return header as Record<string, unknown>;
}

interface DataArea {
  readonly path: string;
  readonly file: string;
  readonly dataStart: number;
  readonly dataBytes: number;
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function parseEntry(name: string, value: unknown, { path, file, dataStart, dataBytes }: DataArea): TensorEntry {
  const fail = (problem: string) => broken(file, `tensor '${name}': ${problem}`);
  const { dtype, shape, data_offsets: range } = (value ?? {}) as Record<string, unknown>;
  const storage = typeof dtype === 'string' ? fileDtypes[dtype] : undefined;
  if (!storage) throw fail(`dtype ${JSON.stringify(dtype)} is not one of ${Object.keys(fileDtypes).join(', ')}`);
  if (!Array.isArray(shape) || !shape.every(isSize))
    throw fail(`shape ${JSON.stringify(shape)} is not a list of sizes`);
  if (!Array.isArray(range) || range.length !== 2 || !range.every(isSize)) {
    throw fail(`data_offsets ${JSON.stringify(range)} are not two positions`);
  }
  const [start, end] = range as [number, number];
  if (end < start || end > dataBytes)
    throw fail(
      `bytes ${start} to ${end} lie outside the ${dataBytes} data bytes of the file; it is truncated or damaged`,
    );
  const expected = elementCount(shape) * storageBytes[storage];
  if (end - start !== expected)
    throw fail(`${dtype} of shape [${shape}] needs ${expected} bytes, its range has ${end - start}`);
  return { name, dtype: storage, shape, path, offset: dataStart + start, bytes: end - start };
}

function checkCoverage(
  entries: readonly TensorEntry[],
  { file, dataStart, size }: { file: string; dataStart: number; size: number },
): void {
  let position = dataStart;
  let previous = 'the header';
  for (const { name, offset, bytes } of entries.toSorted((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (offset < position) throw broken(file, `tensors '${previous}' and '${name}' overlap`);
    if (offset > position) throw broken(file, `${offset - position} bytes before tensor '${name}' belong to no tensor`);
    position = offset + bytes;
    previous = name;
  }
  if (position !== size) throw broken(file, `${size - position} bytes after the last tensor belong to no tensor`);
}

function broken(file: string, problem: string): MalmenError {
  return new MalmenError('bad-input', `${file}: ${problem}`);
}

/** One tensor: floats of any width as float32, int64 as it is. @throws MalmenError for other integers. */
export async function readTensor(entry: TensorEntry): Promise<Tensor> {
  const raw = await readRaw(entry);
  const { shape } = entry;
  switch (entry.dtype) {
    case 'f32':
      return { dtype: 'f32', shape, data: new Float32Array(raw) };
    case 'f64':
      return { dtype: 'f32', shape, data: Float32Array.from(new Float64Array(raw)) };
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

/** A tensor of doubles without rounding. */
export async function readFloat64(entry: TensorEntry): Promise<Float64Array> {
  if (entry.dtype !== 'f64')
    throw new MalmenError('bad-input', `${entry.path}: tensor '${entry.name}' must be F64, got ${entry.dtype}`);
  return new Float64Array(await readRaw(entry));
}

async function readRaw({ path, offset, bytes }: TensorEntry): Promise<ArrayBuffer> {
  const raw = new ArrayBuffer(bytes);
  const handle = await open(path).catch((error) => {
    throw fileError(error, path, 'reading');
  });
  try {
    await readFully(handle, new Uint8Array(raw), offset);
  } finally {
    await handle.close();
  }
  return raw;
}

/** A tensor's bytes as stored, in pieces of a few megabytes. */
export async function* tensorBytes({ path, offset, bytes }: TensorEntry): AsyncGenerator<Uint8Array> {
  const step = 8 * 2 ** 20;
  const handle = await open(path).catch((error) => {
    throw fileError(error, path, 'reading');
  });
  try {
    for (let done = 0; done < bytes; done += step) {
      const piece = new Uint8Array(Math.min(step, bytes - done));
      await readFully(handle, piece, offset + done);
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

/** Writes a file in the given order of tensors, whole or not at all. */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorSource[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const header = headerText(tensors, metadata);
  await writeAtomic(path, async (file) => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.byteLength));
    await file.writeFile(Buffer.concat([length, header]));
    for (const tensor of tensors) {
      for await (const piece of tensor.bytes()) await file.writeFile(piece);
    }
  });
}

/** Padded with spaces so that the data starts at a multiple of 8. */
function headerText(tensors: readonly TensorSource[], metadata: Readonly<Record<string, string>>): Buffer {
  let position = 0;
  const entries = tensors.map(({ name, dtype, shape }) => {
    const start = position;
    position += elementCount(shape) * storageBytes[dtype];
    return [name, { dtype: dtypeNames.get(dtype), shape, data_offsets: [start, position] }] as const;
  });
  const json =
    Object.keys(metadata).length > 0
      ? { __metadata__: metadata, ...Object.fromEntries(entries) }
      : Object.fromEntries(entries);
  const text = Buffer.from(JSON.stringify(json));
  return Buffer.concat([text, Buffer.alloc((8 - (text.byteLength % 8)) % 8, ' ')]);
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
