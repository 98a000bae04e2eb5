// Lines of JSON from a file, gzip or plain, one at a time.

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { fileError, MalmenError } from '../errors.js';

/** Yields each line's value with its number (from 1); empty lines are passed over. */
export async function* readJsonLines(path: string): AsyncGenerator<{ readonly line: number; readonly value: unknown }> {
  const file = createReadStream(path);
  const text = path.endsWith('.gz') ? pipeline(file, createGunzip(), () => {}) : file;
  let line = 0;
  try {
    for await (const content of createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY })) {
      line++;
      if (content.trim() !== '') yield { line, value: parseLine(content, path, line) };
    }
  } catch (error) {
    throw fileError(error, path, 'reading');
  }
}

function parseLine(content: string, path: string, line: number): unknown {
  try {
    return JSON.parse(content);
  } catch (error) {
    throw new MalmenError('bad-input', `${path}:${line}: not JSON: ${(error as Error).message}`, { cause: error });
  }
}
