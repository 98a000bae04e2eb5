// The page's own files, read where they lie: its scripts are built (they are type-checked against the browser), its style is
// taken from the sources, which the package contains. Knows no report.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

export interface PageFiles {
  readonly style: string;
  readonly scripts: readonly string[];
}

// From `dist/report/` and from `src/report/` (tests) these lead to the same files.
const style = new URL('../../src/report/page/report.css', import.meta.url);
const scripts = ['theme', 'copy-command', 'fact-table'].map(
  (name) => new URL(`../../dist/report/page/${name}.js`, import.meta.url),
);

/** A missing file is a broken installation and throws as one. */
export async function readPageFiles(): Promise<PageFiles> {
  const [css, ...js] = await Promise.all([style, ...scripts].map((url) => readFile(url, 'utf8')));
  return { style: css!, scripts: js };
}

/** What a content security policy calls a text that may be inline. */
export function inlineSource(text: string): string {
  return `'sha256-${createHash('sha256').update(text, 'utf8').digest('base64')}'`;
}
