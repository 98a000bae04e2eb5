// Passes over a model's weights, streamed: a content hash that does not depend on the files' layout, and a search for NaN
// and infinity. Knows no architecture.

import { createHash, type Hash } from 'node:crypto';
import { MalmenError } from '../errors.js';
import { storageBytes } from '../tensor.js';
import { firstNotFinite } from './finite.js';
import type { ModelFolder } from './model-folder.js';
import { type TensorEntry, tensorBytes } from './stored-tensor.js';

/** How a pass over all weights is watched and stopped. */
export interface ScanOptions {
  readonly signal?: AbortSignal;
  /** Called after each piece of a few megabytes. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/**
 * Checks that every number is finite and hashes the content (sha256, see docs/formats.md), in one pass: about 0.5 s for 500 MB that the
 * system has in memory.
 * @throws MalmenError that names the first tensor and element that is not a finite number
 */
export async function verifyWeights({ tensors }: ModelFolder, options: ScanOptions = {}): Promise<string> {
  const hash = createHash('sha256');
  await scan(inNameOrder(tensors), options, (piece, at) => {
    assertFinitePiece(piece, at);
    hashPiece(hash, piece, at);
  });
  return hash.digest('hex');
}

/**
 * sha256 in hexadecimal over the tensors in order of their names; for each, its name, dtype and shape as a line of JSON,
 * then its bytes. The same weights in other shards, in another order or with other metadata have the same hash.
 */
export async function contentHash(
  { tensors }: Pick<ModelFolder, 'tensors'>,
  options: ScanOptions = {},
): Promise<string> {
  const hash = createHash('sha256');
  await scan(inNameOrder(tensors), options, (piece, at) => hashPiece(hash, piece, at));
  return hash.digest('hex');
}

/** @throws MalmenError that names the first of these tensors, and in it the first element, that is NaN or infinite */
export async function assertFinite(entries: Iterable<TensorEntry>, options: ScanOptions = {}): Promise<void> {
  await scan([...entries], options, assertFinitePiece);
}

/** Where a piece of a tensor's bytes starts. */
interface PiecePosition {
  readonly entry: TensorEntry;
  readonly position: number;
}

/** Visits every tensor's bytes in pieces, at least one (perhaps empty) for each tensor. */
async function scan(
  entries: readonly TensorEntry[],
  { signal, onProgress }: ScanOptions,
  visit: (piece: Uint8Array, at: PiecePosition) => void,
): Promise<void> {
  const total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  for (const entry of entries) {
    if (entry.bytes === 0) visit(new Uint8Array(), { entry, position: 0 });
    let position = 0;
    for await (const piece of tensorBytes(entry)) {
      signal?.throwIfAborted();
      visit(piece, { entry, position });
      position += piece.byteLength;
      done += piece.byteLength;
      onProgress?.(done, total);
    }
  }
}

function inNameOrder(tensors: ReadonlyMap<string, TensorEntry>): TensorEntry[] {
  return [...tensors.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function hashPiece(hash: Hash, piece: Uint8Array, { entry, position }: PiecePosition): void {
  if (position === 0) hash.update(`${JSON.stringify([entry.name, entry.dtype, entry.shape])}\n`);
  hash.update(piece);
}

function assertFinitePiece(piece: Uint8Array, { entry, position }: PiecePosition): void {
  const index = firstNotFinite(piece, entry.dtype);
  if (index < 0) return;
  const element = position / storageBytes[entry.dtype] + index;
  throw new MalmenError(
    'bad-input',
    `${entry.path}: tensor '${entry.name}': element ${element} is NaN or infinite; the checkpoint is damaged or was saved from a failed training`,
  );
}
