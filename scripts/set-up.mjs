// Makes a checkout ready to run: installs the dependencies and builds, each only when needed. Plain Node, no dependencies:
// it is the first thing that runs on a fresh clone.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => join(root, ...parts);

function fail(message) {
  console.error(`set-up: ${message}`);
  process.exit(1);
}

function run(title, command, args) {
  console.log(`set-up: ${title}`);
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    // On Windows npm is a script, which only a shell starts.
    shell: process.platform === 'win32' && command === 'npm',
  });
  if (error) fail(`\`${command}\` could not be started: ${error.message}; is it installed and on the PATH?`);
  if (status !== 0) fail(`${title} failed (\`${[command, ...args].join(' ')}\`); the lines above say why`);
}

/** When a file or the newest file below a folder was changed, in milliseconds; 0 when it is not there. */
function changed(path) {
  if (!existsSync(path)) return 0;
  const info = statSync(path);
  if (!info.isDirectory()) return info.mtimeMs;
  return readdirSync(path).reduce((latest, name) => Math.max(latest, changed(join(path, name))), 0);
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  fail(`malmen needs Node.js 20.19 or newer, this is ${process.versions.node}; install a newer one and run again`);
}

const lock = at('package-lock.json');
// npm writes this file at the end of an installation that succeeded.
if (changed(at('node_modules', '.package-lock.json')) < changed(lock)) {
  // The compiler is a development dependency: needed here whatever the environment says of production.
  // Warnings are for those who maintain it: engines of development tools, settings that npm will forget.
  const options = ['--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  run('installing dependencies', 'npm', [existsSync(lock) ? 'ci' : 'install', ...options]);
}

// Written after a build without errors; the compiler's own notes are written after a failed one, too.
const stamp = at('dist', '.built');
if (changed(stamp) < Math.max(changed(at('src')), changed(at('tsconfig.json')))) {
  run('building', process.execPath, [at('node_modules', 'typescript', 'bin', 'tsc'), '-b', '--force']);
  writeFileSync(stamp, '');
}
