// Folders for tests: one per test file, removed at the end; and the stored reference models.

import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

/** A function that names new paths in a folder of this test file. */
export function temporaryPaths(): (name?: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'malmen-checkpoint-'));
  // Other users may look inside: a test without the rights of the superuser reaches its files.
  chmodSync(folder, 0o755);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  let count = 0;
  return (name = 'item') => join(folder, `${count++}-${name}`);
}

const golden = resolve(process.env.MALMEN_GOLDEN ?? fileURLToPath(new URL('../fixtures/golden', import.meta.url)));

export const goldenModel = (name: string) => join(golden, 'models', name);

/** All stored safetensors files of models, in order. */
export function goldenModelFiles(): string[] {
  const models = join(golden, 'models');
  if (!existsSync(models)) throw new Error(`${models}: the stored reference models are missing`);
  const files = readdirSync(models, { recursive: true, encoding: 'utf8' });
  return files
    .filter((file) => file.endsWith('.safetensors'))
    .sort()
    .map((file) => join(models, file));
}
