// Whether the captured rows of an edit wait on disk, so that the normal equation of one layer at a time is in memory.

import { formatBytes, parseByteSize } from '../util/byte-size.js';
import { freeSpace } from '../util/free-space.js';
import { equationSize } from './equation-size.js';
import type { CommandContext } from './events.js';
import { estimateMemory, type MemoryJob } from './memory-estimate.js';

/** Memory that is worth so many rows on the disk; where a limit leaves too little, less of it is. */
const worthBytes = 96 * 2 ** 20;
const worthWhereTightBytes = 16 * 2 ** 20;

/** Whether one layer's equation at a time saves enough memory to keep rows on disk for it. */
export function isWorthSpooling(job: MemoryJob, isTight: boolean): boolean {
  // MEND keeps a sum of the size of the shift.
  if (job.task !== 'edit' || job.network === undefined || job.network.editor === 'mend') return false;
  return savedBytes(job) >= (isTight ? worthWhereTightBytes : worthBytes);
}

function savedBytes(job: MemoryJob): number {
  const { atOnce, oneByOne } = equationSize(job);
  return atOnce - oneByOne;
}

export interface SpoolingOptions {
  /** Whether rows may wait on disk at all. */
  readonly spool: boolean;
  readonly memory?: string | undefined;
}

/**
 * Where it is worth it and the disk has room; says so, and where there is no room too. The shift is the same.
 * @param folder exists; rows would wait in it
 */
export async function spoolsRows(
  job: MemoryJob,
  folder: string,
  { spool, memory }: SpoolingOptions,
  { emit }: CommandContext,
): Promise<boolean> {
  if (!spool) return false;
  const isTight = memory !== undefined && estimateMemory('whole', job).peak > parseByteSize(memory);
  if (!isWorthSpooling(job, isTight)) return false;
  const [{ onDisk }, free] = [equationSize(job), await freeSpace(folder)];
  const takes = `${formatBytes(savedBytes(job))} less memory`;
  const text =
    onDisk > free
      ? `rows stay in memory: ${formatBytes(onDisk)} on the disk of the output would take ${takes}, ${formatBytes(free)} are free there`
      : `rows wait on the disk of the output, ${formatBytes(onDisk)} until they are solved for: ${takes}`;
  emit({ kind: 'note', text });
  return onDisk <= free;
}
