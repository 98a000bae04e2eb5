// One pass over all weights: a content hash that does not depend on file layout, and a search for NaN and infinity.

import { createHash } from 'node:crypto';
import { MalmenError } from '../errors.js';
import type { ModelFolder } from './model-folder.js';
import { type TensorEntry, tensorBytes } from './safetensors.js';

export interface VerifyOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/**
 * sha256 over the tensors in order of their names: name, dtype, shape, bytes.
 * @throws MalmenError that names the first tensor and element that is not a finite number
 */
export async function verifyWeights(
  { tensors, dir }: ModelFolder,
  { signal, onProgress }: VerifyOptions = {},
): Promise<string> {
  const entries = [...tensors.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  const hash = createHash('sha256');
  let done = 0;
  for (const entry of entries) {
    hash.update(`${entry.name}\0${entry.dtype}\0${entry.shape}\0`);
    let position = 0;
    for await (const piece of tensorBytes(entry)) {
      signal?.throwIfAborted();
      assertFinite(piece, entry, position, dir);
      hash.update(piece);
      position += piece.byteLength;
      done += piece.byteLength;
      onProgress?.(done, total);
    }
  }
  return hash.digest('hex');
}

/** A float is not finite exactly when all its exponent bits are set. */
function assertFinite(piece: Uint8Array, entry: TensorEntry, position: number, dir: string): void {
  const at = firstNotFinite(piece, entry.dtype);
  if (at === undefined) return;
  const { index, width } = at;
  throw new MalmenError(
    'bad-input',
    `${dir}: tensor '${entry.name}': element ${position / width + index} is NaN or infinite; the checkpoint is damaged or was saved during a failed training`,
  );
}

function firstNotFinite(piece: Uint8Array, dtype: TensorEntry['dtype']): { index: number; width: number } | undefined {
  const halves = () => new Uint16Array(piece.buffer, piece.byteOffset, piece.byteLength / 2);
  const words = () => new Uint32Array(piece.buffer, piece.byteOffset, piece.byteLength / 4);
  if (dtype === 'f32') return search(words(), 0x7f800000, 4);
  if (dtype === 'bf16') return search(halves(), 0x7f80, 2);
  if (dtype === 'f16') return search(halves(), 0x7c00, 2);
  return undefined;
}

function search(
  bits: Uint16Array | Uint32Array,
  exponent: number,
  width: number,
): { index: number; width: number } | undefined {
  for (let index = 0; index < bits.length; index++) {
    if ((bits[index]! & exponent) === exponent) return { index, width };
  }
  return undefined;
}
