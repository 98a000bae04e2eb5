// The program's own version. Knows nothing else of the package.

import { readFileSync } from 'node:fs';

/** The version in package.json, which lies as far from the sources as from the built files. */
export function packageVersion(): string {
  const file = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(file) as { version: string }).version;
}
