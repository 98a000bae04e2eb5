// Packs the package, checks what was packed, installs it into an empty folder with an empty home and uses it there, as somebody
// does who never saw this repository: command line, public API, types. Plain Node; fails with the command that failed.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { name, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const work = mkdtempSync(join(tmpdir(), 'malmen-package-'));
const [home, project] = ['home', 'project'].map((folder) => join(work, folder));
for (const folder of [home, project]) mkdirSync(folder);

/** Runs a program and returns what it printed. On Windows those of npm are scripts, which only a shell starts. */
function run(command, args, { cwd, env = process.env }) {
  console.log(`package: ${[command, ...args].join(' ')}`);
  const shell = process.platform === 'win32' && command !== process.execPath;
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, shell, encoding: 'utf8' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${[command, ...args].join(' ')} ended with ${status}\n${stdout}\n${stderr}`);
  return stdout;
}

function expectThat(holds, what) {
  if (!holds) throw new Error(`package: expected ${what}`);
}

/** A setting of npm's, as it is in this repository. */
const setting = (key) => run('npm', ['config', 'get', key], { cwd: root }).trim();

/**
 * Nothing of this repository and nothing of the user, but for where packages come from (npm's own settings and cache) and the switch
 * that the README gives for an installation.
 */
function strangersEnvironment() {
  const others = Object.entries(process.env).filter(([key]) => !/^(npm_|ONNXRUNTIME_|HF_)/i.test(key));
  return {
    ...Object.fromEntries(others),
    HOME: home,
    USERPROFILE: home,
    npm_config_userconfig: setting('userconfig'),
    npm_config_registry: setting('registry'),
    npm_config_cache: setting('cache'),
    npm_config_prefer_offline: 'true',
    ONNXRUNTIME_NODE_INSTALL: 'skip',
  };
}

const inside = { cwd: project, env: strangersEnvironment() };
const malmen = (...args) => run('npx', ['--no-install', 'malmen', ...args], inside);
const asJson = (...args) => JSON.parse(malmen(...args, '--json'));
const model = `node_modules/${name}/models/atlas`;

/** Packs and installs; what lints a package says nothing against it. */
function install() {
  run('npm', ['pack', '--silent', '--pack-destination', work], { cwd: root });
  const tarball = join(work, `${name}-${version}.tgz`);
  run('npm', ['run', '--silent', 'lint:package', '--', tarball], { cwd: root });
  // ES modules only: `require` in old versions of Node and resolution without `exports` are not promised.
  run('npm', ['run', '--silent', 'lint:types', '--', tarball], { cwd: root });
  run('npm', ['init', '--yes'], inside);
  run('npm', ['install', '--no-audit', '--no-fund', tarball], inside);
}

/** Every built file was built from a source that is there: the build folder keeps what earlier sources became. */
function checkBuild() {
  const dist = join(project, 'node_modules', name, 'dist');
  const files = readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const built = files.map((entry) => relative(dist, join(entry.parentPath, entry.name)));
  const orphans = built.filter((path) => !existsSync(join(root, 'src', path.replace(/(\.d\.ts|\.js)$/, '.ts'))));
  expectThat(built.length > 100, `a build, got ${built.length} files`);
  expectThat(orphans.length === 0, `no leftovers in dist (remove it and build again), got ${orphans.join(', ')}`);
}

/** The command line: a question, facts of one's own, an edit that is saved and says so in a report. */
function useCommandLine() {
  expectThat(malmen('--version').trim() === version, `version ${version}`);
  expectThat(malmen('ask', '--model', model, 'The capital of Japan is').includes('Tokyo'), 'Tokyo');
  malmen('init', 'facts');
  const found = asJson('check', 'facts/facts.csv', '--model', model);
  expectThat(found.facts > 0 && found.problems === 0, `an example that is fine, got ${JSON.stringify(found)}`);
  const own = ['--settings', 'facts/edit.yaml', '--model', model];
  const { scores } = asJson('edit', ...own, '--editor', 'ft', '--out', 'edited');
  expectThat(scores.es > scores.before.es, `an edit that takes, got ${JSON.stringify(scores)}`);
  for (const file of ['model.safetensors', 'shift.safetensors', 'report.html']) {
    expectThat(existsSync(join(project, 'edited', file)), `edited/${file}`);
  }
  malmen(
    'train',
    '--model',
    model,
    '--data',
    'atlas:#:60',
    '--edits',
    '8',
    '--steps',
    '1',
    '--rank',
    '8',
    '--preserve',
    '0',
    '--out',
    'editor',
  );
  return scores;
}

const compilerOptions = {
  module: 'nodenext',
  target: 'es2023',
  strict: true,
  exactOptionalPropertyTypes: true,
  outDir: '.',
};

/** The example of the repository as somebody else's program: its types hold under NodeNext, and it edits. */
function useApi() {
  const example = readFileSync(join(root, 'examples/edit-a-model.ts'), 'utf8');
  writeFileSync(join(project, 'edit-a-model.ts'), example.replace('../src/index.js', name));
  const node = { types: ['node'], typeRoots: [join(root, 'node_modules/@types')] };
  const settings = { compilerOptions: { ...compilerOptions, ...node }, files: ['edit-a-model.ts'] };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(settings));
  run('npm', ['pkg', 'set', 'type=module'], inside);
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc')], inside);
  run(process.execPath, ['edit-a-model.js', model, 'editor', 'facts/facts.csv', 'shift.safetensors'], inside);
  const asked = malmen('ask', '--model', model, '--shift', 'shift.safetensors', 'The capital of Japan is');
  expectThat(/after/.test(asked), `an answer after the edit, got ${asked}`);
}

try {
  install();
  checkBuild();
  const { facts, es, before } = useCommandLine();
  useApi();
  console.log(`package: installed and ran elsewhere; ${facts} facts edited, ES ${before.es} to ${es}`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
