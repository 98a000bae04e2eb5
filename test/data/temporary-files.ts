// Small files for tests of readers, in a folder that goes when the test file ends. Knows nothing of what they hold.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

/** Writes a file of that name in a new folder and returns its path. */
export type WriteFile = (name: string, content: string | Uint8Array) => string;

export function temporaryFiles(): WriteFile {
  const root = mkdtempSync(join(tmpdir(), 'malmen-data-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  let count = 0;
  return (name, content) => {
    const folder = join(root, String(count++));
    mkdirSync(folder);
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
}

/** One of the made-up data sets beside the tests. */
export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
}

export const jsonLines = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/** The message of the error that a call ends in. @throws where it does not end in one */
export async function messageOf(reading: Promise<unknown>): Promise<string> {
  return reading.then(
    () => {
      throw new TypeError('expected an error, got a result');
    },
    (error: Error) => `${(error as Error & { code?: string }).code}: ${error.message}`,
  );
}
