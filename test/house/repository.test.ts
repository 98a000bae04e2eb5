// The repository as a whole: nothing in it names a machine, the lock file installs anywhere, and the documents say what is so.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commandTable } from '../../src/cli/command-table.js';
import { flagsOf } from '../../src/cli/flags.js';
import { recordSchema } from '../../src/data/record-schema.js';
import { root } from './source-files.js';

/** Committed files and those about to be, or undefined outside a git checkout. */
function repositoryFiles(): string[] | undefined {
  const listing = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const { status, stdout } = spawnSync('git', listing, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status !== 0) return undefined;
  return stdout.split('\0').filter((path) => path !== '' && existsSync(join(root, path)));
}

const read = (path: string) => readFileSync(join(root, path), 'utf8');

const isText = (path: string) => /\.(md|ts|mjs|js|json|jsonl|proto|snap|yaml|yml|svg|txt)$|^[^.]+$|^\.\w+/.test(path);

/** Home and working folders of some machine, and hosts that packages come from. Written so as not to find itself. */
const forbidden = [
  /(?<![\w.$}~-])\/(?:home|root|Users|w[o]rk)\//,
  /\bnpm[j]s\.(?:org|com)\b/,
  /\bdeb\.debi[a]n\.org\b/,
];

/** Above this a file must be generated, fetched or left out. */
const embeddedWeights = 'models/atlas/model.safetensors';
const largestBytes = 4 * 2 ** 20;

describe('files', () => {
  const files = repositoryFiles();

  test('name neither paths of a machine nor hosts of packages', ({ skip }) => {
    if (!files) return skip('not a git checkout');
    const findings = files.filter(isText).flatMap((path) =>
      read(path)
        .split('\n')
        .flatMap((line, at) => (forbidden.some((pattern) => pattern.test(line)) ? [`${path}:${at + 1}`] : [])),
    );
    expect(files.length).toBeGreaterThan(100);
    expect(findings).toEqual([]);
  });

  test('are not large', ({ skip }) => {
    if (!files) return skip('not a git checkout');
    const large = files.filter((path) => statSync(join(root, path)).size > largestBytes);
    // The embedded model: what the program needs to show itself.
    expect(large.filter((path) => path !== embeddedWeights)).toEqual([]);
    expect(statSync(join(root, embeddedWeights)).size).toBeLessThan(20e6);
  });

  test('what is forbidden is found', () => {
    const finds = (text: string) => forbidden.some((pattern) => pattern.test(text));
    const home = ['', 'home', 'ada', 'x'].join('/');
    const host = ['npmjs', 'org'].join('.');
    expect([`see ${home}`, `"${home}"`, `registry.${host}`].every(finds)).toBe(true);
    expect([`..${home}`, `a${home}`, `\${root}${home}`].some(finds)).toBe(false);
  });
});

describe('packages', () => {
  interface Lock {
    readonly packages: Readonly<
      Record<
        string,
        {
          readonly resolved?: string;
          readonly version?: string;
          readonly optionalDependencies?: Record<string, string>;
        }
      >
    >;
  }
  const lock = JSON.parse(read('package-lock.json')) as Lock;
  const manifest = JSON.parse(read('package.json')) as Record<
    'dependencies' | 'devDependencies' | 'scripts',
    Readonly<Record<string, string>>
  >;

  test('the lock file carries no addresses', () => {
    expect(Object.entries(lock.packages).filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  });

  test('the lock file holds the optional packages of every platform, or npm ci refuses it', () => {
    const missing = Object.entries(lock.packages).flatMap(([name, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies)
        .filter(
          (wanted) => !lock.packages[`node_modules/${wanted}`] && !lock.packages[`${name}/node_modules/${wanted}`],
        )
        .map((wanted) => `${name}: ${wanted}`),
    );
    expect(missing).toEqual([]);
  });

  test('every dependency has an exact version, the same in both files', () => {
    for (const kind of ['dependencies', 'devDependencies'] as const) {
      for (const [name, version] of Object.entries(manifest[kind])) {
        expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
        expect(lock.packages[`node_modules/${name}`]?.version, name).toBe(version);
      }
    }
  });

  test('onnxruntime is installed without its download', () => {
    expect(read('.npmrc')).toContain('onnxruntime-node-install=skip');
    expect(JSON.parse(read('package.json'))).toMatchObject({ allowScripts: { 'onnxruntime-node': false } });
  });
});

const documents = [
  'README.md',
  'ARCHITECTURE.md',
  'docs/math.md',
  'docs/models.md',
  'docs/formats.md',
  'docs/log.md',
  'docs/cli.md',
];

/** Anchors of a document's headings, as they are made on code hosts. */
function anchors(text: string): string[] {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!.toLowerCase());
  return headings.map((heading) => heading.replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'));
}

describe.each(documents)('%s', (document) => {
  const text = read(document);

  test('links to files that exist', () => {
    const links = [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, target]) => target!);
    const local = links.filter((target) => !/^[a-z]+:/.test(target));
    expect(local.filter((target) => !existsSync(join(root, dirname(document), target)))).toEqual([]);
  });

  test('links to headings that exist', () => {
    const links = [...text.matchAll(/\]\(([^)#:]*)#([^)]+)\)/g)].map(
      ([, target, anchor]) => [target!, anchor!] as const,
    );
    const aim = (target: string) => (target === '' ? text : read(join(dirname(document), target)));
    expect(links.filter(([target, anchor]) => !anchors(aim(target)).includes(anchor))).toEqual([]);
  });

  test('names source and test files that exist', () => {
    const named = [...text.matchAll(/`((?:src|test|scripts|bench|schema)\/[\w./-]+\.\w+)`/g)].map(([, path]) => path!);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});

/** Lines of the README's `sh` blocks. */
function shellLines(text: string): string[] {
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block]) => block!);
  return blocks.flatMap((block) => block.split('\n')).filter((line) => line.trim() !== '' && !line.startsWith('#'));
}

/** Words of a command line; a quoted text is one. */
const words = (line: string) => (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ''));

describe('the commands of the README and the page about models', () => {
  const lines = shellLines(read('README.md'));
  const malmen = [...lines, ...shellLines(read('docs/models.md'))]
    .filter((line) => line.includes('malmen '))
    .map((line) => words(line.slice(line.indexOf('malmen '))));

  test('begin with set-up and tests in one command each', () => {
    expect(lines.slice(0, 2)).toEqual(['npm start', 'npm test']);
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    expect(scripts).toMatchObject({ prestart: 'node scripts/set-up.mjs', pretest: 'node scripts/set-up.mjs' });
    const [, , started] = words(scripts.start!);
    expect(commandTable.map(({ name }) => name)).toContain(started);
  });

  test('are known to npm', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const run = lines.flatMap((line) => line.match(/^npm (?:run )?([\w:-]+)/)?.[1] ?? []);
    expect(run.filter((name) => name !== 'ci' && name !== 'pack' && !(name in scripts))).toEqual([]);
  });

  test('use commands and flags that exist, and all that are required', () => {
    expect(malmen.length).toBeGreaterThan(4);
    for (const [, name, ...rest] of malmen) {
      const command = commandTable.find((candidate) => candidate.name === name);
      expect(command, `malmen ${name}`).toBeDefined();
      const flags = flagsOf(command!.schema, command!.positional);
      const given = rest.filter((word) => word.startsWith('--'));
      const known = flags.map((flag) => flag.name);
      expect(
        given.filter((flag) => !known.includes(flag)),
        `malmen ${name}`,
      ).toEqual([]);
      const required = flags.filter((flag) => flag.required && !flag.positional).map((flag) => flag.name);
      expect(
        required.filter((flag) => !given.includes(flag)),
        `malmen ${name}`,
      ).toEqual([]);
    }
  });

  test('the record shown is one', () => {
    const [, example] = /^```json\n([\s\S]*?)^```/m.exec(read('README.md'))!;
    for (const line of example!.trim().split('\n')) expect(() => recordSchema.parse(JSON.parse(line))).not.toThrow();
  });

  test('run: help, and a look at a stored model', () => {
    const program = (...args: string[]) =>
      spawnSync(process.execPath, [join(root, 'bin/malmen.js'), ...args], { cwd: root, encoding: 'utf8' });
    const help = program('--help');
    expect(help.stderr).toBe('');
    for (const { name } of commandTable) expect(help.stdout).toContain(name);
    const inspected = program('inspect', 'test/fixtures/golden/models/gpt2', '--json');
    expect(JSON.parse(inspected.stdout)).toMatchObject({ kind: 'model', modelType: 'gpt2', vocabulary: 211 });
  });
});
