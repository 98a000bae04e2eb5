// T5's buckets of distances against values worked out by hand from the formula of the paper's code.

import { describe, expect, test } from 'vitest';
import { bucketTable } from '../../src/models/relative-position.js';

describe('32 buckets up to 128', () => {
  const bothWays = bucketTable({ count: 32, farthest: 128, bothWays: true });
  const back = bucketTable({ count: 32, farthest: 128, bothWays: false });
  const at = (table: readonly number[], ahead: number) => table[128 + ahead];

  test.each([
    [0, 0],
    [-1, 1],
    [-7, 7],
    [-8, 8],
    // 8 + 8 log(11 / 8) / log(16) = 8.9, and 9.2 for 12
    [-11, 8],
    [-12, 9],
    [-127, 15],
    [-128, 15],
    [1, 17],
    [12, 25],
    [128, 31],
  ])('both ways, %i ahead: bucket %i', (ahead, bucket) => {
    expect(at(bothWays, ahead)).toBe(bucket);
  });

  test.each([
    [5, 0],
    [0, 0],
    [-15, 15],
    [-16, 16],
    // 16 + 16 log(19 / 16) / log(8) = 17.3
    [-19, 17],
    [-128, 31],
  ])('back only, %i ahead: bucket %i', (ahead, bucket) => {
    expect(at(back, ahead)).toBe(bucket);
  });
});

test('farther is never nearer, and every bucket of both directions is used', () => {
  const table = bucketTable({ count: 8, farthest: 20, bothWays: true });
  const ahead = table.slice(21);
  expect(ahead).toEqual([...ahead].sort((a, b) => a - b));
  expect(table.slice(0, 20).reverse()).toEqual(ahead.map((bucket) => bucket - 4));
  expect(new Set(table).size).toBe(8 - 1);
});
