// A file with some ranges of bytes replaced by as many others; everything else stays as it is, checksums follow.
// Knows no format.

import { stat } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { fileError, MalmenError } from '../errors.js';
import { writeAtomic } from '../util/atomic-file.js';
import { fileBytes } from './stored-tensor.js';
import type { WeightFile } from './weight-file.js';

/** Bytes that replace as many from `offset` on. */
export interface Patch {
  readonly offset: number;
  readonly bytes: number;
  readonly content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

interface Range {
  readonly offset: number;
  readonly bytes: number;
}

/**
 * Writes a patched copy of a weight file, whole or not at all.
 * @throws MalmenError when patches share bytes; RangeError when one has other bytes than it says
 */
export async function writePatched(
  to: string,
  { path, checksums }: Pick<WeightFile, 'path' | 'checksums'>,
  patches: readonly Patch[],
): Promise<void> {
  const sorted = [...patches].sort((a, b) => a.offset - b.offset);
  assertApart(path, sorted);
  const sums = await checksumPatches({ path, checksums }, sorted);
  const all = [...sorted, ...sums].sort((a, b) => a.offset - b.offset);
  const { size } = await stat(path).catch((error) => {
    throw fileError(error, path, 'reading');
  });
  await writeAtomic(to, async (file) => {
    for await (const piece of patchedBytes(path, { offset: 0, bytes: size }, all)) await file.writeFile(piece);
  });
}

const end = ({ offset, bytes }: Range) => offset + bytes;

function assertApart(path: string, sorted: readonly Patch[]): void {
  sorted.forEach((patch, at) => {
    const before = sorted[at - 1];
    if (before && end(before) > patch.offset) {
      throw new MalmenError('unsupported', `${path}: two edited tensors share bytes of the file; edit one of them`);
    }
  });
}

async function checksumPatches(
  { path, checksums }: Pick<WeightFile, 'path' | 'checksums'>,
  sorted: readonly Patch[],
): Promise<Patch[]> {
  const patches: Patch[] = [];
  for (const checksum of checksums) {
    if (!sorted.some((patch) => patch.offset < end(checksum) && end(patch) > checksum.offset)) continue;
    let sum = 0;
    for await (const piece of patchedBytes(path, checksum, sorted)) sum = crc32(piece, sum);
    const content = Buffer.alloc(4);
    content.writeUInt32LE(sum);
    for (const offset of checksum.storedAt) patches.push({ offset, bytes: 4, content: () => [content] });
  }
  return patches;
}

/** The bytes of a range after patching; every patch lies inside the range or outside. */
async function* patchedBytes(path: string, range: Range, sorted: readonly Patch[]): AsyncGenerator<Uint8Array> {
  let position = range.offset;
  for (const patch of sorted) {
    if (patch.offset < range.offset || end(patch) > end(range)) continue;
    yield* fileBytes({ path, offset: position, bytes: patch.offset - position });
    yield* checkedContent(path, patch);
    position = end(patch);
  }
  yield* fileBytes({ path, offset: position, bytes: end(range) - position });
}

async function* checkedContent(path: string, { offset, bytes, content }: Patch): AsyncGenerator<Uint8Array> {
  let written = 0;
  for await (const piece of content()) {
    yield piece;
    written += piece.byteLength;
  }
  if (written !== bytes) throw new RangeError(`${path}: ${written} bytes for the ${bytes} at byte ${offset}`);
}
