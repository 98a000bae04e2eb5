// What is packed is what runs: the files that the program opens relative to itself are in the package, tests and notes of the
// compiler are not. That the package installs and runs elsewhere is tried by scripts/try-package.mjs.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root, sourceFiles } from './source-files.js';

interface Packed {
  readonly files: readonly { readonly path: string }[];
}

/** Paths in the package as npm would make it now. */
function packedFiles(): string[] {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'];
  const shell = process.platform === 'win32';
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd: root, shell, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(stderr);
  // A list of packages in one version of npm, an object of them by name in another.
  const [packed] = Object.values(JSON.parse(stdout) as Readonly<Record<string, Packed>>);
  return packed!.files.map(({ path }) => path);
}

/** Files and folders of the repository that the sources name relative to themselves, from `../../` on. */
function openedAtRunTime(): string[] {
  const named = sourceFiles().flatMap(({ text }) => [...text.matchAll(/new URL\(['`]\.\.\/\.\.\/([^'`$]+)/g)]);
  return named.map(([, path]) => path!);
}

const files = packedFiles();

test('the package holds what the program opens, and nothing that only the repository needs', () => {
  const opened = openedAtRunTime();
  expect(opened).toEqual(expect.arrayContaining(['models/atlas', 'data/neutral.csv', 'src/report/page/report.css']));
  expect(opened.filter((path) => !files.some((file) => file.startsWith(path)))).toEqual([]);
  expect(files).toEqual(expect.arrayContaining(['bin/malmen.js', 'dist/cli/main.js', 'dist/index.d.ts', 'LICENSE']));
  expect(files.filter((file) => /^(test|node_modules|runs|docs\/api)\/|\.map$|\.tsbuildinfo$/.test(file))).toEqual([]);
});

test('its documents link to what it holds', () => {
  const links = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)];
  const targets = links.map(([, target]) => target!);
  expect(targets.length).toBeGreaterThan(5);
  expect(targets.filter((target) => !files.includes(target))).toEqual([]);
});
