// How much room a disk has. Knows nothing of what is to be written.

import { statfs } from 'node:fs/promises';
import { fileError } from '../errors.js';

/** Bytes that this user may still write where `dir` lies. @throws MalmenError that names a folder that is not there */
export async function freeSpace(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir).catch((error) => {
    throw fileError(error, dir, 'reading');
  });
  return bavail * bsize;
}
