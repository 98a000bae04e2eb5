// A tensor where it is stored: which bytes of which file, read whole or in pieces. Knows no file format.

import { open } from 'node:fs/promises';
import { fileError, MalmenError } from '../errors.js';
import { bf16ToF32, elementCount, f16ToF32, type StorageDType, storageBytes, type Tensor } from '../tensor.js';
import { readFully, withFile } from './read-file.js';

/** A tensor of a checkpoint: what it is, and which bytes of which file. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: StorageDType;
  readonly shape: readonly number[];
  /** Symbolic links resolved: memory mapping refuses a link that leaves its folder. */
  readonly path: string;
  /** First byte in the file. */
  readonly offset: number;
  /** Of its elements, row by row. */
  readonly bytes: number;
  /**
   * Elements from one index to the next on each axis, where rows do not follow each other (a transposed tensor of a
   * torch.save file): such a tensor can be read but not mapped.
   */
  readonly strides?: readonly number[];
}

/** Bytes of the file from a tensor's first element to its last: more than `bytes` where others lie between. */
export function spanBytes({ shape, strides, bytes, dtype }: TensorEntry): number {
  if (strides === undefined || bytes === 0) return bytes;
  return storageBytes[dtype] * (1 + shape.reduce((reach, size, axis) => reach + (size - 1) * strides[axis]!, 0));
}

/** First byte, within a tensor's span, of each of its elements in order of rows. */
export function* elementOffsets({ shape, strides, dtype }: TensorEntry): Generator<number> {
  const steps = (strides ?? []).map((stride) => stride * storageBytes[dtype]);
  const index = shape.map(() => 0);
  for (let left = elementCount(shape), offset = 0; left > 0; left--) {
    yield offset;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      offset += steps[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      offset -= steps[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
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

async function readRaw(entry: TensorEntry): Promise<ArrayBuffer> {
  const { path, offset } = entry;
  const raw = new ArrayBuffer(spanBytes(entry));
  await withFile(path, (handle) => readFully(handle, new Uint8Array(raw), { path, position: offset }));
  return entry.strides === undefined ? raw : gather(raw, entry);
}

/** The elements of a strided tensor, row by row. */
function gather(span: ArrayBuffer, entry: TensorEntry): ArrayBuffer {
  const width = storageBytes[entry.dtype];
  const [from, to] = [new Uint8Array(span), new Uint8Array(entry.bytes)];
  let position = 0;
  for (const offset of elementOffsets(entry)) {
    for (let byte = 0; byte < width; byte++) to[position++] = from[offset + byte]!;
  }
  return to.buffer;
}

/** A tensor's bytes as stored, row by row, in pieces that start at a multiple of 8. A piece is valid until the next is asked for. */
export async function* tensorBytes(entry: TensorEntry): AsyncGenerator<Uint8Array> {
  if (entry.strides !== undefined) {
    yield new Uint8Array(await readRaw(entry));
    return;
  }
  yield* fileBytes(entry);
}

/** So many bytes of a file from a position, in pieces. A piece is valid until the next is asked for. */
export async function* fileBytes({
  path,
  offset,
  bytes,
}: {
  readonly path: string;
  readonly offset: number;
  readonly bytes: number;
}): AsyncGenerator<Uint8Array> {
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
