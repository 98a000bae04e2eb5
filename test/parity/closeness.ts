// How near computed numbers are to stored ones, as a soft expectation that names the tensor. Knows no golden folder.

import { expect } from 'vitest';

/** NaN where any number is. */
export function largestDeviation(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(actual[i]! - expected[i]!));
  return largest;
}

export function largestValue(values: ArrayLike<number>): number {
  return Array.from(values).reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}

/** @param limit absolute, for the largest deviation */
export function expectWithin(
  name: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  limit: number,
): void {
  expect.soft(actual.length, `${name}: number of elements`).toBe(expected.length);
  expect.soft(largestDeviation(actual, expected), `${name}: largest deviation`).toBeLessThanOrEqual(limit);
}

/** Within `fraction` of the largest expected value. */
export function expectClose(
  name: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  fraction: number,
): void {
  expectWithin(name, actual, expected, fraction * largestValue(expected));
}
