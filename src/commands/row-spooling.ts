// Whether the captured rows of an edit wait on disk, so that the normal equation of one layer at a time is in memory.

import { statfs } from 'node:fs/promises';
import { fileError } from '../errors.js';
import { formatBytes } from '../util/byte-size.js';
import { equationSize } from './equation-size.js';
import type { CommandContext } from './events.js';
import type { MemoryJob } from './memory-estimate.js';

/** Memory that is worth so many rows on the disk; where memory is limited, less of it is. */
const worthBytes = 96 * 2 ** 20;
const worthWithinLimitBytes = 16 * 2 ** 20;

/**
 * Where it saves enough memory and the disk has room; says so, and where there is no room too. The shift is the same.
 * @param folder exists; rows would wait in it
 */
export async function spoolsRows(
  job: MemoryJob,
  folder: string,
  { memory }: { readonly memory?: string | undefined },
  { emit }: CommandContext,
): Promise<boolean> {
  // MEND keeps a sum of the size of the shift.
  if (job.network === undefined || job.network.editor === 'mend') return false;
  const { atOnce, oneByOne, onDisk } = equationSize(job);
  const saved = atOnce - oneByOne;
  if (saved < (memory === undefined ? worthBytes : worthWithinLimitBytes)) return false;
  const free = await freeBytes(folder);
  const note = (text: string) => emit({ kind: 'note', text });
  const takes = `${formatBytes(saved)} less memory`;
  if (onDisk > free) {
    note(`rows stay in memory: ${formatBytes(onDisk)} on the disk of the output would take ${takes}, ${formatBytes(free)} are free there`); // biome-ignore format: one line
    return false;
  }
  note(`rows wait on the disk of the output, ${formatBytes(onDisk)} until they are solved for: ${takes}`);
  return true;
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder).catch((error) => {
    throw fileError(error, folder, 'reading');
  });
  return bavail * bsize;
}
