// Lines of a text file, gzip or plain, one at a time.

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { fileError, MalmenError } from '../errors.js';

/** Yields each line that is not empty with its number (from 1). @throws MalmenError for a missing, damaged or empty file */
export async function* readLines(path: string): AsyncGenerator<{ readonly line: number; readonly text: string }> {
  let line = 0;
  let filled = 0;
  try {
    for await (const text of createInterface({ input: textOf(path), crlfDelay: Number.POSITIVE_INFINITY })) {
      line++;
      if (text.trim() === '') continue;
      filled++;
      yield { line, text };
    }
  } catch (error) {
    throw readingError(error, path);
  }
  if (filled === 0)
    throw new MalmenError('bad-input', `${path}: the file is empty; it should hold at least one record`);
}

/** The file's text, unpacked when its name ends in `.gz`. */
function textOf(path: string): NodeJS.ReadableStream {
  const file = createReadStream(path);
  if (!path.endsWith('.gz')) return file;
  // A failure of either stream ends the second one with that error.
  return pipeline(file, createGunzip(), () => {});
}

/** The whole text of a file, gzip or plain. */
export async function readText(path: string): Promise<string> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of textOf(path)) pieces.push(Buffer.from(piece as Uint8Array));
  } catch (error) {
    throw readingError(error, path);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function readingError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (!code.startsWith('Z_')) return fileError(error, path, 'reading');
  return new MalmenError(
    'bad-input',
    `${path}: not a gzip file, or one that was cut off: ${(error as Error).message}`,
    { cause: error },
  );
}
