// Where tests find stored numbers and data sets. Knows nothing of what is in them.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A file of the golden numbers; `MALMEN_GOLDEN` names another copy of them. */
export function goldenPath(...parts: readonly string[]): string {
  return join(process.env.MALMEN_GOLDEN ?? join(root, 'test/fixtures/golden'), ...parts);
}

/** A file of the data sets and vocabularies, which are too large for the repository; `MALMEN_SHARED` names their folder. */
export function sharedPath(...parts: readonly string[]): string {
  return join(process.env.MALMEN_SHARED ?? join(root, '../shared'), ...parts);
}

/** For `describe.skipIf`: whether a file is absent; then says so, once, where the tests are run. */
export function isAbsent(path: string): boolean {
  const absent = !existsSync(path);
  if (absent)
    console.warn(`skipped: ${path} is not here; MALMEN_SHARED and MALMEN_GOLDEN name the folders of the data`);
  return absent;
}

export function readJsonFile<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}
