// Finding numbers that are NaN or infinite in stored bytes. Knows no file and no model.

import type { StorageDType } from '../tensor.js';

/**
 * Index of the first element that is NaN or infinite, -1 when all are finite (integers always are).
 * `bytes` must start at a multiple of the element's size in its buffer and hold whole elements.
 */
export function firstNotFinite(bytes: Uint8Array, dtype: StorageDType): number {
  // IEEE 754: a float is not finite exactly when all bits of its exponent are set.
  if (dtype === 'f32') return firstWithBits(words(bytes), 0x7f800000);
  if (dtype === 'bf16') return firstWithBits(halves(bytes), 0x7f80);
  if (dtype === 'f16') return firstWithBits(halves(bytes), 0x7c00);
  if (dtype === 'f64') return doubles(bytes).findIndex((value) => !Number.isFinite(value));
  return -1;
}

const words = ({ buffer, byteOffset, byteLength }: Uint8Array) => new Uint32Array(buffer, byteOffset, byteLength / 4);
const halves = ({ buffer, byteOffset, byteLength }: Uint8Array) => new Uint16Array(buffer, byteOffset, byteLength / 2);
const doubles = ({ buffer, byteOffset, byteLength }: Uint8Array) =>
  new Float64Array(buffer, byteOffset, byteLength / 8);

function firstWithBits(elements: Uint16Array | Uint32Array, bits: number): number {
  for (let index = 0; index < elements.length; index++) {
    if ((elements[index]! & bits) === bits) return index;
  }
  return -1;
}
