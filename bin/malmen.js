#!/usr/bin/env node
// Starts the built command line. Knows only where it is.

import { existsSync } from 'node:fs';

const main = new URL('../dist/cli/main.js', import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  console.error('error: malmen is not built yet: run `npm run build` in its folder');
  process.exitCode = 1;
}
