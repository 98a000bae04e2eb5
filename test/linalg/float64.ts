// Small dense matrices in float64, as arrays of rows: the truth that the tests compare with. Nothing here is fast.

import { f32, type TensorOf } from '../../src/tensor.js';
import { Random } from '../../src/util/random.js';

export type Rows = readonly (readonly number[])[];

/** Standard normal entries that float32 holds exactly. */
export function randomRows(seed: number, rows: number, columns: number): number[][] {
  const random = new Random(seed);
  return Array.from({ length: rows }, () => Array.from({ length: columns }, () => Math.fround(random.normal())));
}

export function toTensor(rows: Rows): TensorOf<'f32'> {
  return f32(rows.flat(), [rows.length, rows[0]!.length]);
}

export function toRows(tensor: TensorOf<'f32'>): number[][] {
  const [count, width] = tensor.shape as [number, number];
  return Array.from({ length: count }, (_, r) => [...tensor.data.subarray(r * width, (r + 1) * width)]);
}

export function transpose(a: Rows): number[][] {
  return a[0]!.map((_, c) => a.map((row) => row[c]!));
}

export function product(a: Rows, b: Rows): number[][] {
  const columns = transpose(b);
  return a.map((row) => columns.map((column) => inner(row, column)));
}

export function combine(a: Rows, factor: number, b: Rows): number[][] {
  return a.map((row, r) => row.map((value, c) => value + factor * b[r]![c]!));
}

export function addRidge(a: Rows, ridge: number): number[][] {
  return a.map((row, r) => row.map((value, c) => (r === c ? value + ridge : value)));
}

export function dot(a: Rows, b: Rows): number {
  return a.reduce((sum, row, r) => sum + inner(row, b[r]!), 0);
}

export function norm(a: Rows): number {
  return Math.sqrt(dot(a, a));
}

export function distance(a: Rows, b: Rows): number {
  return norm(combine(a, -1, b));
}

/** X of A X = B by Gauss and Jordan, with partial pivoting. */
export function solve(a: Rows, b: Rows): number[][] {
  const size = a.length;
  const work = a.map((row, r) => [...row, ...b[r]!]);
  for (let p = 0; p < size; p++) {
    const best = work.reduce((top, row, r) => (r >= p && Math.abs(row[p]!) > Math.abs(work[top]![p]!) ? r : top), p);
    [work[p], work[best]] = [work[best]!, work[p]!];
    const pivotRow = work[p]!.map((value) => value / work[p]![p]!);
    for (const [r, row] of work.entries()) {
      work[r] = r === p ? pivotRow : row.map((value, c) => value - row[p]! * pivotRow[c]!);
    }
  }
  return work.map((row) => row.slice(size));
}

function inner(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}
