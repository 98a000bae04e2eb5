// Rows kept on disk by key: what comes back is what was written, to the bit, within the limit; what is damaged, foreign or half
// written does not come back.

import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RowCache } from '../../src/checkpoint/row-cache.js';
import { asOrdinaryUser, fillDiskAtWrite, readOnlyFolder } from './failing-disk.js';
import { temporaryPaths } from './temporary-folder.js';

const newPath = temporaryPaths();

function folder(): string {
  const dir = newPath();
  mkdirSync(dir);
  return dir;
}

function open(dir: string, { owner = 'us', limitBytes = 1e9, dropped = [] as string[] } = {}) {
  return RowCache.open(dir, { owner, limitBytes, onDropped: (reason) => dropped.push(reason) });
}

const rows = (...numbers: number[]) => Float32Array.from(numbers);

/** Two files: one with the keys a and b, one with c. */
async function filled(dir: string, owner = 'us'): Promise<RowCache> {
  const cache = await open(dir, { owner });
  await cache.write(
    new Map([
      ['a', rows(1, 2, 3)],
      ['b', rows(-0, 2 ** -149, 1e38)],
    ]),
  );
  await cache.write(new Map([['c', rows(4)]]));
  return cache;
}

const files = (dir: string) => readdirSync(dir).sort();
const first = 'rows-000001.safetensors';
const second = 'rows-000002.safetensors';

/** Changes one byte of a file at the last place where `text` stands. */
function flip(path: string, text: Uint8Array | string): void {
  const bytes = readFileSync(path);
  bytes[bytes.lastIndexOf(text)]! ^= 1;
  writeFileSync(path, bytes);
}

describe('what was written', () => {
  test('comes back, at once and after opening the folder again', async () => {
    const dir = folder();
    const cache = await filled(dir);
    for (const one of [cache, await open(dir)]) {
      expect(await one.read('a')).toEqual(rows(1, 2, 3));
      expect(await one.read('b')).toEqual(rows(-0, 2 ** -149, 1e38));
      expect(await one.read('c')).toEqual(rows(4));
      expect(await one.read('d')).toBeUndefined();
      expect([one.has('c'), one.has('d'), one.count]).toEqual([true, false, 3]);
      expect(one.bytes).toBe(files(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0));
    }
  });

  test('is not written twice, and a later file takes a new name', async () => {
    const dir = folder();
    await filled(dir);
    const cache = await open(dir);
    await cache.write(new Map([['a', rows(9)]]));
    expect(files(dir)).toEqual([first, second]);
    await cache.write(
      new Map([
        ['a', rows(9)],
        ['d', rows(5)],
      ]),
    );
    expect(files(dir)).toEqual([first, second, 'rows-000003.safetensors']);
    expect(await cache.read('a')).toEqual(rows(1, 2, 3));
    expect(await cache.read('d')).toEqual(rows(5));
  });

  test('never takes more room than the limit, whatever is written', async () => {
    const writes = fc.array(fc.array(fc.integer({ min: 0, max: 600 }), { maxLength: 5 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(writes, fc.integer({ min: 0, max: 12_000 }), async (sizes, limitBytes) => {
        const dir = folder();
        const cache = await open(dir, { limitBytes });
        let key = 0;
        for (const some of sizes) {
          await cache.write(new Map(some.map((size) => [`key ${key++}`, new Float32Array(size).fill(key)])));
        }
        expect(files(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0)).toBeLessThanOrEqual(
          limitBytes,
        );
        for (let at = 0; at < key; at++)
          expect((await cache.read(`key ${at}`)) !== undefined).toBe(cache.has(`key ${at}`));
      }),
      { numRuns: 30 },
    );
  });

  test('goes with the folder', async () => {
    const dir = newPath('cache');
    const cache = await filled(dir);
    await cache.remove();
    expect(() => readdirSync(dir)).toThrow(/ENOENT/);
    expect([cache.has('a'), cache.bytes]).toEqual([false, 0]);
  });
});

describe('dropped, with the reason, are', () => {
  test('rows that changed on the disk, with all of their file', async () => {
    const dir = folder();
    await filled(dir);
    const dropped: string[] = [];
    const cache = await open(dir, { dropped });
    flip(join(dir, first), Uint8Array.from(Buffer.from(rows(2).buffer)));
    expect(await cache.read('a')).toBeUndefined();
    expect(dropped).toEqual([`${join(dir, first)}: 'a' is not what was written; the file is damaged`]);
    expect(files(dir)).toEqual([second]);
    expect([cache.has('b'), await cache.read('b'), await cache.read('c')]).toEqual([false, undefined, rows(4)]);
    await cache.write(new Map([['a', rows(1)]]));
    expect(await cache.read('a')).toEqual(rows(1));
  });

  test('rows under another name', async () => {
    const dir = folder();
    await filled(dir);
    flip(join(dir, second), '"c"'.slice(1));
    const dropped: string[] = [];
    const cache = await open(dir, { dropped });
    // 'c' with its last bit changed is 'b'.
    expect([cache.has('b'), cache.has('c')]).toEqual([true, false]);
    expect(await cache.read('b')).toBeUndefined();
    expect(dropped).toEqual([`${join(dir, second)}: 'b' is not what was written; the file is damaged`]);
  });

  test.each([
    ['a file cut short', (path: string) => truncateSync(path, statSync(path).size - 1), /belong|truncated|range/],
    ['an empty file', (path: string) => truncateSync(path, 0), /too few for a header/],
    ['a file whose header is damaged', (path: string) => flip(path, 'data_offsets'), /safetensors|offsets/],
    ['a file of another kind', (path: string) => flip(path, 'malmen-rows'), /holds no rows/],
    [
      'a file with a checksum too few',
      (path: string) => flip(path, '"checksums'.slice(1)),
      /0 checksums for 2 tensors/,
    ],
  ])('%s', async (_, damage, reason) => {
    const dir = folder();
    await filled(dir);
    damage(join(dir, first));
    const dropped: string[] = [];
    const cache = await open(dir, { dropped });
    expect(dropped).toEqual([expect.stringMatching(reason)]);
    expect(dropped[0]).toContain(first);
    expect(files(dir)).toEqual([second]);
    expect([cache.has('a'), cache.has('c')]).toEqual([false, true]);
  });

  test('a file that is cut short or goes away after the folder was opened', async () => {
    const dir = folder();
    const dropped: string[] = [];
    await filled(dir);
    const cache = await open(dir, { dropped });
    truncateSync(join(dir, first), statSync(join(dir, first)).size - 1);
    expect(await cache.read('b')).toBeUndefined();
    await (await open(dir)).remove();
    expect(await cache.read('c')).toBeUndefined();
    expect(dropped).toEqual([expect.stringContaining('ended early'), expect.stringContaining('no such file')]);
  });

  test('files of another owner', async () => {
    const dir = folder();
    await filled(dir, '{"base":"other"}');
    await filled(dir);
    const dropped: string[] = [];
    const elsewhere = newPath('theirs');
    await filled(elsewhere, '{"base":"other"}');
    copyFileSync(join(elsewhere, first), join(dir, 'rows-000009.safetensors'));
    const cache = await open(dir, { dropped });
    expect(dropped).toEqual([expect.stringContaining('belongs to {"base":"other"}, not to us')]);
    expect([cache.count, cache.has('a')]).toEqual([3, true]);
  });

  test('what a killed writer has left; files of others stay', async () => {
    const dir = folder();
    await filled(dir);
    const leftOver = `.${second}.4711.0a1b2c3d.tmp`;
    for (const name of [leftOver, 'notes.txt']) writeFileSync(join(dir, name), 'x');
    expect((await open(dir)).count).toBe(3);
    expect(files(dir)).toEqual(['notes.txt', first, second]);
  });
});

describe('errors that name the file', () => {
  test.each([1, 2, 3])('a disk that is full at write %i leaves nothing half written', async (call) => {
    const dir = folder();
    const cache = await filled(dir);
    const disk = await fillDiskAtWrite(call);
    const more = new Map([
      ['d', rows(1)],
      ['e', rows(2)],
    ]);
    const error = await cache.write(more).catch((e) => e);
    disk.restore();
    expect(error).toMatchObject({ name: 'MalmenError', code: 'no-space' });
    expect(error.message).toContain(join(dir, 'rows-000003.safetensors'));
    expect(files(dir)).toEqual([first, second]);
    expect([cache.has('d'), cache.count]).toEqual([false, 3]);
    await cache.write(more);
    expect(await cache.read('e')).toEqual(rows(2));
  });

  test.skipIf(process.platform === 'win32')('a folder that may not be written', async () => {
    const dir = readOnlyFolder(newPath('read-only'));
    const error = await asOrdinaryUser(() => open(join(dir, 'cache')).catch((e) => e));
    expect(error).toMatchObject({ name: 'MalmenError', code: 'bad-input' });
    expect(error.message).toContain('creating the folder failed: permission denied');
  });
});
