// How the C library's allocator treats large blocks, where that library is glibc. Knows nothing of tensors.

import { createRequire } from 'node:module';

/** Functions of glibc, as of `mallopt(3)` and `malloc_trim(3)`. */
interface Allocator {
  mallopt(parameter: number, value: number): number;
  malloc_trim(pad: number): number;
}

/** Numbers of `mallopt`'s parameters. */
const parameters = { trimThreshold: -1, mmapThreshold: -3, arenas: -8 } as const;

const mebibyte = 2 ** 20;

/** A user who set these, or preloads another allocator, knows better. */
const ownSettings = /^(MALLOC_\w+|GLIBC_TUNABLES|LD_PRELOAD)$/;

/** Null where there is none to set. */
let allocator: Allocator | null | undefined;

/** Within a limit, by how much freed blocks that nothing fits into any more may grow. */
let slackBytes: number | undefined;

/** Little, but not at every turn. */
const leastSlackBytes = 128 * mebibyte;

/** Where sizes change from batch to batch, freed blocks come to more than this in time. */
const usualFreedBytes = 1024 * mebibyte;

/**
 * Lets freed blocks up to 64 MB serve the next ones, in the whole process. By default the system takes each of them back at
 * once and clears new pages for the next: between the operations of one training step that costs up to a third of the time.
 * One arena packs blocks better than one for each thread. To be called just before the thread that computes is made: what
 * threads there are keep the arenas that they have, and the next one takes the main one.
 *
 * Only speed depends on it, so where glibc or the package that calls it is missing (other systems) nothing happens.
 */
export function keepFreedBlocks(env: NodeJS.ProcessEnv = process.env): void {
  if (allocator !== undefined) return;
  const isSet = Object.keys(env).some((name) => ownSettings.test(name));
  allocator = isSet || process.platform !== 'linux' ? null : openAllocator();
  if (allocator) tune(allocator);
}

function tune({ mallopt }: Allocator): void {
  // Before 2.35 the threshold may not be above 32 MB; left alone, it would fall to 128 KB with the next setting.
  if (mallopt(parameters.mmapThreshold, 64 * mebibyte) === 0) mallopt(parameters.mmapThreshold, 32 * mebibyte);
  mallopt(parameters.trimThreshold, 256 * mebibyte);
  mallopt(parameters.arenas, 1);
}

/**
 * Takes most of {@link keepFreedBlocks} back for what comes next, for runs that must stay within a limit: blocks from 16 MB go
 * back at once. Editing GPT-J block after block, freed blocks added 1.2 GB to the peak, now a third of that; from 1 MB on they
 * would add nothing, but then the packing buffers of every matrix product, 9 MB, come from the system too, and products lose a
 * quarter of their rate.
 */
export function returnBlocksAtOnce(): void {
  if (!allocator) return;
  slackBytes = leastSlackBytes;
  allocator.mallopt(parameters.mmapThreshold, 16 * mebibyte);
  allocator.mallopt(parameters.trimThreshold, 32 * mebibyte);
  returnFreedBlocks();
}

/**
 * For block after block within a limit that leaves room for one block's pass more: its largest weights and their casts serve the
 * next block too. T5-XL is edited in 23 s instead of 28 s, with 0.3 GB more.
 * @param spareBytes what the limit leaves
 */
export function keepLargeBlocks(spareBytes: number): void {
  if (!allocator) return;
  slackBytes = Math.max(spareBytes, leastSlackBytes);
  allocator.mallopt(parameters.mmapThreshold, 1024 * mebibyte);
  allocator.mallopt(parameters.trimThreshold, 2047 * mebibyte);
}

/**
 * For sessions over the whole model within a limit: what is freed is kept as without one where there is room for it.
 * @param spareBytes what the limit leaves
 */
export function limitFreedBlocks(spareBytes: number): void {
  if (!allocator) return;
  if (spareBytes < usualFreedBytes) returnBlocksAtOnce();
  slackBytes = Math.max(spareBytes, leastSlackBytes);
}

/** Undefined where there is no limit, or the allocator is not ours to set. */
export function freedBlocksSlack(): number | undefined {
  return slackBytes;
}

/** Gives the system back what {@link keepFreedBlocks} made the process keep. */
export function returnFreedBlocks(): void {
  allocator?.malloc_trim(0);
}

function openAllocator(): Allocator | null {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const library = koffi.load('libc.so.6');
    return {
      mallopt: library.func('int mallopt(int, int)'),
      malloc_trim: library.func('int malloc_trim(size_t)'),
    };
  } catch {
    return null;
  }
}
