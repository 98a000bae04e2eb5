// Whether freed blocks are kept is read off the kernel's count of page faults and of resident pages, in a process of its own.

import { expect, test } from 'vitest';
import { glibc, memoryFunctions, printedBy } from './own-process.js';

const allocator = new URL('../../dist/engine/allocator.js', import.meta.url);

// Blocks above 32 MB are the system's own at once, unless told otherwise.
const block = 40 * 2 ** 20;

/** Fills and frees a block over and over. @returns page faults for each block, and resident bytes kept and after returning them */
function faults(before: string, env: NodeJS.ProcessEnv = {}): { each: number; kept: number; returned: number } {
  const script = `
    ${memoryFunctions}
    import { keepFreedBlocks, returnBlocksAtOnce, returnFreedBlocks } from '${allocator}';
    const once = () => { const at = malloc(${block}); fill(at, 1, ${block}); free(at); };
    ${before}
    once();
    const start = process.resourceUsage().minorPageFault;
    for (let i = 0; i < 20; i++) once();
    const each = (process.resourceUsage().minorPageFault - start) / 20;
    const kept = process.memoryUsage.rss();
    returnFreedBlocks();
    console.log(JSON.stringify({ each, kept, returned: process.memoryUsage.rss() }));`;
  return JSON.parse(printedBy(script, env));
}

test.runIf(glibc)('a freed block serves the next one, and goes back to the system when told', () => {
  const { each, kept, returned } = faults('keepFreedBlocks();');
  expect(each).toBeLessThan(0.01 * faults('').each);
  expect(kept - returned).toBeGreaterThan(0.9 * block);
});

test.runIf(glibc)('within a limit a freed block goes back at once again', () => {
  const { each, kept, returned } = faults('keepFreedBlocks(); once(); returnBlocksAtOnce();');
  expect(each).toBeGreaterThan(0.9 * faults('').each);
  expect(kept - returned).toBeLessThan(0.1 * block);
});

test.runIf(glibc)(
  'a model that runs block after block, or as a whole within a limit, has the blocks go back at once, unless there is room',
  () => {
    const open = (running: string) => `
    const { LanguageModel } = await import('${new URL('language-model.js', allocator)}');
    const model = await LanguageModel.open('models/atlas', { inThread: true });
    await model.editing(model.layers(), ${running});
    await model.close();
    once();`;
    const each = faults('').each;
    expect(faults(open("'blocks'")).each).toBeGreaterThan(0.9 * each);
    expect(faults(open("{ schedule: 'blocks', keepsFreedBytes: 1e9 }")).each).toBeLessThan(0.1 * each);
    expect(faults(open("'whole'")).each).toBeLessThan(0.1 * each);
    expect(faults(open("{ schedule: 'whole', keepsFreedBytes: 1e6 }")).each).toBeGreaterThan(0.9 * each);
    expect(faults(open("{ schedule: 'whole', keepsFreedBytes: 2e9 }")).each).toBeLessThan(0.1 * each);
  },
);

test.runIf(glibc)('settings of the user stay', () => {
  const { each } = faults('keepFreedBlocks();', { MALLOC_TRIM_THRESHOLD_: '0' });
  expect(each).toBeGreaterThan(0.9 * faults('').each);
});
