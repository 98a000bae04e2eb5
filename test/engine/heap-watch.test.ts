// Holes between small blocks that stay, in a process of its own: whether their pages went back is read off its resident memory.

import { expect, test } from 'vitest';
import { glibc, memoryFunctions, printedBy } from './own-process.js';

const engine = new URL('../../dist/engine/', import.meta.url);
const megabyte = 2 ** 20;

/** Looks by itself. */
const watch = `
    const watch = new HeapWatch();
    const looks = async (count) => { for (let i = 0; i < count; i++) await watch.look(async () => held); };`;

/** Runs small programs. */
const runs = `
    const { openRuntime } = await import('${new URL('open-runtime.js', engine)}');
    const { residentMatrices } = await import('${new URL('resident-matrix.js', engine)}');
    const runtime = await openRuntime({ device: 'cpu', inThread: true });
    const ops = residentMatrices(runtime);
    const one = await ops.upload({ dtype: 'f32', shape: [1, 1], data: Float32Array.of(1) });
    const looks = async (count) => { for (let i = 0; i < count; i++) ops.release(await ops.transpose(one)); };`;

/** Megabytes of holes that are still resident after 16 runs, of 300. */
function holesLeft(limit: string, { residentBytes = '0', looks = 16, first = '', watching = watch } = {}): number {
  const script = `
    ${memoryFunctions}
    import { keepFreedBlocks, keepLargeBlocks, limitFreedBlocks, returnBlocksAtOnce } from '${new URL('allocator.js', engine)}';
    import { HeapWatch } from '${new URL('heap-watch.js', engine)}';
    let holes = (count) => {
      const blocks = Array.from({ length: count }, () => {
        const at = malloc(${megabyte});
        fill(at, 1, ${megabyte});
        malloc(${megabyte / 4}); // stays
        return at;
      });
      for (const at of blocks) free(at);
    };
    keepFreedBlocks();
    ${limit}
    let held = 0;
    ${watching}
    await looks(16);
    ${first}
    const before = process.memoryUsage.rss();
    holes(300);
    held = ${residentBytes};
    await looks(${looks});
    console.log((process.memoryUsage.rss() - before) / ${megabyte});`;
  return Number(printedBy(script));
}

const most = 250;
const few = 50;

test.runIf(glibc)('within a limit, holes are given back once they are more than it has room for', () => {
  expect(holesLeft('returnBlocksAtOnce();')).toBeLessThan(few);
  expect(holesLeft(`keepLargeBlocks(${200 * megabyte});`)).toBeLessThan(few);
  expect(holesLeft(`limitFreedBlocks(${200 * megabyte});`)).toBeLessThan(few);
});

test.runIf(glibc)('they stay where there is room for them, and without a limit', () => {
  expect(holesLeft(`keepLargeBlocks(${400 * megabyte});`)).toBeGreaterThan(most);
  expect(holesLeft(`limitFreedBlocks(${400 * megabyte});`)).toBeGreaterThan(most);
  expect(holesLeft('')).toBeGreaterThan(most);
});

test.runIf(glibc)('what residents have grown by is no hole; not every run is looked at', () => {
  expect(holesLeft('returnBlocksAtOnce();', { residentBytes: `${300 * megabyte}` })).toBeGreaterThan(most);
  expect(holesLeft('returnBlocksAtOnce();', { looks: 15 })).toBeGreaterThan(most);
});

test.runIf(glibc)('the runtime looks after its runs', () => {
  expect(holesLeft('returnBlocksAtOnce();', { watching: runs })).toBeLessThan(few);
  expect(holesLeft('', { watching: runs })).toBeGreaterThan(most);
});

test.runIf(glibc)('what cannot be given back does not make it try again at every look', () => {
  const first = `
    for (let i = 0; i < 200; i++) fill(malloc(${megabyte}), 1, ${megabyte});
    await looks(16);`;
  // 100 MB of holes, which the limit has room for, on top of 200 MB that stay.
  const fewer = 'const many = holes; holes = () => many(100);';
  expect(holesLeft('returnBlocksAtOnce();', { first: first + fewer })).toBeGreaterThan(80);
});
