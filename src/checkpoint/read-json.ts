// A JSON object from a file. Knows nothing of what it says.

import { readFile } from 'node:fs/promises';
import { fileError, MalmenError } from '../errors.js';

/** @throws MalmenError that names the file when it cannot be read or holds anything else */
export async function readJson(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, 'utf8').catch((error) => {
    throw fileError(error, path, 'reading');
  });
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    throw new MalmenError('bad-input', `${path}: not JSON: ${(error as Error).message}`, { cause: error });
  }
  throw new MalmenError('bad-input', `${path}: expected a JSON object`);
}
