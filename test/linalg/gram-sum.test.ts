import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GramSum } from '../../src/linalg/gram-sum.js';
import { distance, norm, product, randomRows, toRows, toTensor, transpose } from './float64.js';
import { ReferenceOps } from './reference-ops.js';

test('the sum over chunks is K^T K, whatever the chunks and the tile', async () => {
  const cases = fc.record({
    seed: fc.nat(1e6),
    chunks: fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 }),
    size: fc.integer({ min: 1, max: 7 }),
    tile: fc.integer({ min: 1, max: 8 }),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ seed, chunks, size, tile }) => {
      const ops = new ReferenceOps();
      const rows = randomRows(seed, chunks.reduce((a, b) => a + b, 0), size); // biome-ignore format: one line
      const sum = new GramSum(ops, size, tile);
      let start = 0;
      for (const count of chunks) {
        const chunk = await ops.upload(toTensor(rows.slice(start, start + count)));
        await sum.add(chunk);
        ops.release(chunk);
        start += count;
      }
      const expected = product(transpose(rows), rows);
      expect(distance(toRows(await sum.take()), expected)).toBeLessThan(1e-5 * norm(expected));
      expect(ops.live).toBe(0);
    }),
    { numRuns: 30 },
  );
});

test('a sum that is given up leaves nothing', async () => {
  const ops = new ReferenceOps();
  const sum = new GramSum(ops, 3);
  for (const height of [2, 1100, 5]) {
    const chunk = await ops.upload(toTensor(randomRows(height, height, 3)));
    await sum.add(chunk);
    ops.release(chunk);
  }
  sum.release();
  expect(ops.live).toBe(0);
});

test('memory does not grow with the rows', async () => {
  const ops = new ReferenceOps();
  const sum = new GramSum(ops, 4);
  const chunk = await ops.upload(toTensor(randomRows(1, 500, 4)));
  for (let at = 0; at < 20; at++) await sum.add(chunk);
  // As documented: the sums, and three copies of the rows at once (512 and one chunk).
  expect(ops.peak).toBeLessThan(4 ** 2 + 3 * (512 + 500) * 4);
  ops.release(chunk);
  sum.release();
});
