// Makes a checkout ready to run: installs the dependencies and builds, each only when needed. Plain Node, no dependencies:
// it is the first thing that runs on a fresh clone.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => join(root, ...parts);

function fail(message) {
  console.error(`set-up: ${message}`);
  process.exit(1);
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19))
  fail(`malmen needs Node.js 20.19 or newer, this is ${process.versions.node}`);

function run(title, command, args) {
  console.log(`set-up: ${title}`);
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (error || status !== 0) fail(`\`${[command, ...args].join(' ')}\` failed; the lines above say why`);
}

/** When a file or the newest file below a folder was changed, in milliseconds; 0 when it is not there. */
function changed(path) {
  if (!existsSync(path)) return 0;
  const info = statSync(path);
  if (!info.isDirectory()) return info.mtimeMs;
  return readdirSync(path).reduce((latest, name) => Math.max(latest, changed(join(path, name))), 0);
}

// npm writes this file at the end of an installation.
const installed = changed(at('node_modules', '.package-lock.json'));
if (installed < changed(at('package-lock.json'))) {
  run('installing dependencies', 'npm', ['ci', '--no-audit', '--no-fund']);
}

const built = changed(at('dist', '.tsbuildinfo'));
if (built < Math.max(changed(at('src')), changed(at('tsconfig.json')))) {
  run('building', process.execPath, [at('node_modules', 'typescript', 'bin', 'tsc'), '-b', '--force']);
}
