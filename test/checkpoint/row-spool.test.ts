// Rows that wait on disk: what comes back is what was added, to the bit and in order; what is taken is gone, and so is the folder.

import { existsSync, mkdirSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RowSpool, type SpooledRows } from '../../src/checkpoint/row-spool.js';
import { f32 } from '../../src/tensor.js';
import { asOrdinaryUser, fillDiskAtWrite, readOnlyFolder } from './failing-disk.js';
import { temporaryPaths } from './temporary-folder.js';

const newPath = temporaryPaths();

/** Two matrices of one height. */
const chunk = fc
  .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 1, max: 3 }))
  .chain(([rows, width]) =>
    fc
      .tuple(numbers(rows * width), numbers(rows * 2))
      .map(([keys, changes]): SpooledRows => ({ keys: f32(keys, [rows, width]), changes: f32(changes, [rows, 2]) })),
  );

/** NaN, infinities, -0 and subnormal numbers among them. */
function numbers(length: number): fc.Arbitrary<Float32Array> {
  return fc.float32Array({ minLength: length, maxLength: length });
}

const bitsOf = (rows: SpooledRows) =>
  Object.entries(rows).map(([name, { shape, data }]) => [name, shape, [...new Uint32Array(data.slice().buffer)]]);

async function taken(spool: RowSpool, list: string) {
  const found = [];
  for await (const rows of spool.take(list)) found.push(bitsOf(rows));
  return found;
}

test('lists come back as they were added, whatever came between, and are gone then', async () => {
  const added = fc.array(fc.tuple(fc.constantFrom('a', 'b/c', '..'), chunk), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(added, async (chunks) => {
      const dir = newPath();
      const spool = await RowSpool.open(dir);
      const expected = chunks.map(([list, rows]) => [list, bitsOf(rows)] as const);
      for (const [list, rows] of chunks) await spool.append(list, rows);
      for (const name of ['..', 'a', 'b/c']) {
        const own = expected.filter(([list]) => list === name).map(([, rows]) => rows);
        expect(await taken(spool, name)).toEqual(own);
        expect(await taken(spool, name)).toEqual([]);
      }
      expect(readdirSync(dir)).toEqual([]);
      await spool.remove();
      expect(existsSync(dir)).toBe(false);
    }),
    { numRuns: 40 },
  );
});

test('memory of what was added is free at once', async () => {
  const spool = await RowSpool.open(newPath());
  const keys = f32([1, 2, 3], [1, 3]);
  await spool.append('list', { keys });
  expect(keys.data.length).toBe(0);
  await spool.remove();
});

test('what was not taken goes with the folder', async () => {
  const dir = newPath();
  const spool = await RowSpool.open(dir);
  await spool.append('list', { keys: f32([1, 2], [2, 1]) });
  expect(readdirSync(dir).map((name) => statSync(join(dir, name)).size)).toEqual([8]);
  await spool.remove();
  expect(existsSync(dir)).toBe(false);
});

test('a full disk is named, with the file', async () => {
  const dir = newPath();
  const spool = await RowSpool.open(dir);
  const disk = await fillDiskAtWrite(2);
  const rows = { keys: f32([1], [1, 1]), changes: f32([2], [1, 1]) };
  const error = await spool.append('list', rows).catch((e) => e);
  disk.restore();
  expect(error).toMatchObject({ name: 'MalmenError', code: 'no-space' });
  expect(error.message).toContain(join(dir, '0.rows'));
  await spool.remove();
  expect(existsSync(dir)).toBe(false);
});

test('a file that was cut off by somebody else is named', async () => {
  const dir = newPath();
  const spool = await RowSpool.open(dir);
  await spool.append('list', { keys: f32([1, 2, 3], [3, 1]) });
  truncateSync(join(dir, '0.rows'), 8);
  await expect(taken(spool, 'list')).rejects.toMatchObject({ code: 'bad-input', message: /0\.rows: ended early/ });
  await spool.remove();
});

test('a folder that is there, or cannot be made, is refused', async () => {
  const dir = newPath();
  mkdirSync(dir);
  await expect(RowSpool.open(dir)).rejects.toMatchObject({ code: 'exists', message: expect.stringContaining(dir) });
  const locked = readOnlyFolder(newPath());
  await asOrdinaryUser(() =>
    expect(RowSpool.open(join(locked, 'rows'))).rejects.toMatchObject({
      code: 'bad-input',
      message: /permission denied/,
    }),
  );
});
