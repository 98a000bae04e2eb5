// Positioned reads of regular files, whole or an error. Knows no format.

import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { fileError, MalmenError } from '../errors.js';

/** Opens, uses and closes a file; failures name it. */
export async function withFile<T>(path: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  try {
    // Without the flag a pipe in a file's place would block for ever.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return await use(handle);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, path, 'reading');
  }
}

/** One read may return less than asked for (above 2 GiB it must). */
export async function readFully(
  handle: FileHandle,
  target: Uint8Array,
  { path, position }: { readonly path: string; readonly position: number },
): Promise<void> {
  const step = 2 ** 30;
  for (let done = 0; done < target.byteLength; ) {
    const { bytesRead } = await handle.read(target, done, Math.min(step, target.byteLength - done), position + done);
    if (bytesRead === 0) throw new MalmenError('bad-input', `${path}: ended early; the file changed while it was read`);
    done += bytesRead;
  }
}

/** `undefined` when there is nothing at `path`. */
export async function statIfThere(path: string) {
  return stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw fileError(error, path, 'reading');
  });
}
