// The hash of a file as everybody's tools compute it. Knows no format.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { fileError } from '../errors.js';

/** sha256 of a file's bytes in hexadecimal, as `sha256sum` prints it. @throws MalmenError that names the file */
export async function fileHash(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path), hash);
  } catch (error) {
    throw fileError(error, path, 'reading');
  }
  return hash.digest('hex');
}
