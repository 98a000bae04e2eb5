// A tensor where it is stored: which bytes of which file, read whole or in pieces. Knows no file format.

import { open } from 'node:fs/promises';
import { fileError, MalmenError } from '../errors.js';
import { bf16ToF32, f16ToF32, type StorageDType, type Tensor } from '../tensor.js';
import { readFully, withFile } from './read-file.js';

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

/** Pieces in which data is copied and scanned: large enough to be fast, a few milliseconds of work each. */
const pieceBytes = 4 * 2 ** 20;

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
  { path, tensors }: { readonly path: string; readonly tensors: ReadonlyMap<string, TensorEntry> },
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
