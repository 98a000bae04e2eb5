// Wrong and right command lines and settings files: what runs, what is said, which exit code.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { runCli } from '../../src/cli/run.js';
import { nearest } from '../../src/util/nearest.js';
import { fakeCommands } from './fake-commands.js';
import { FakeTerminal } from './fake-terminal.js';

const folder = mkdtempSync(join(tmpdir(), 'malmen-settings-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function settingsFile(text: string): string {
  const path = join(folder, `${files++}.yaml`);
  writeFileSync(path, text);
  return path;
}

async function run(...argv: string[]) {
  const terminal = new FakeTerminal();
  const code = await runCli(argv, terminal, fakeCommands);
  return { code, out: terminal.stdout.text, err: terminal.stderr.text };
}

async function result(...argv: string[]): Promise<unknown> {
  const { code, out } = await run(...argv, '--json');
  expect(code).toBe(0);
  return JSON.parse(out);
}

describe('wrong command lines', () => {
  test.each([
    [['cuont', 'Ada'], "unknown command 'cuont'; did you mean count?"],
    [['count', 'Ada', '--stps', '3'], "unknown option '--stps'; did you mean --steps?"],
    [['count', 'Ada', '--step_ms', '3'], "unknown option '--step_ms'; did you mean --step-ms?"],
    [['count', 'Ada', '--no-lod'], "unknown option '--no-lod'; did you mean --no-loud?"],
    [['count', 'Ada', '--jsn'], "unknown option '--jsn'; did you mean --json?"],
    [['count', 'Ada', '--zzzzzz'], "unknown option '--zzzzzz'"],
    [['count', 'Ada', '--steps'], "option '--steps <value>' argument missing"],
    [['count', 'Ada', 'Grace'], "too many arguments for 'count'"],
    [[], 'no command was given; malmen --help lists them'],
  ])('%j', async (argv, message) => {
    const { code, out, err } = await run(...argv);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err.startsWith(`error: ${message}`)).toBe(true);
  });

  test('all wrong values are told at once, by flag', async () => {
    const { code, err } = await run(
      'count',
      '--steps',
      'many',
      '--step-ms',
      '-1',
      '--pace',
      'steadi',
      '--words',
      'a,,b',
    );
    expect(code).toBe(2);
    expect(err).toBe(`error: malmen count:
  NAME is required: who counts
  --steps must be a whole number, got "many"
  --step-ms must be at least 0, got -1
  --pace must be one of steady, erratic, got "steadi"
  --words must not be empty, got ""
malmen count --help lists the options
`);
  });

  test('are JSON on request, even where --json itself was not reached', async () => {
    const { code, out, err } = await run('count', '--stps', '3', '--json');
    expect(code).toBe(2);
    expect(err).toBe('');
    expect(JSON.parse(out)).toEqual({
      error: { code: 'usage', message: "unknown option '--stps'; did you mean --steps?" },
    });
  });
});

describe('settings files', () => {
  test('give options; flags win; defaults fill the rest', async () => {
    const settings = settingsFile('# counting\nname: Ada\nsteps: 2\nloud: false\nwords: [a, "b,c"]\n');
    expect(await result('count', '--settings', settings, '--steps', '1')).toEqual({
      name: 'Ada',
      steps: 1,
      stepMs: 0,
      pace: 'steady',
      loud: false,
      words: ['a', 'b,c'],
    });
  });

  test('a switch can be set back by its opposite', async () => {
    const settings = settingsFile('{ "name": "Ada", "loud": false }');
    expect(await result('count', '--settings', settings, '--loud')).toMatchObject({ loud: true });
    expect(await result('count', 'Grace', '--no-loud')).toMatchObject({ loud: false, name: 'Grace' });
  });

  test('an empty file sets nothing', async () => {
    expect(await result('count', 'Ada', '--settings', settingsFile(''))).toMatchObject({ name: 'Ada', steps: 3 });
  });

  test.each([
    [
      'stps: 3\nstepms: 4\nqqqq: 1',
      "unknown key 'stps'; did you mean steps?\n",
      "unknown key 'stepms'; did you mean stepMs?",
    ],
    ['qqqq: 1', "unknown key 'qqqq'\n", ''],
    ['- 1', "expected keys with values, such as 'steps: 100'", ''],
    ['name: [1', ':1:9: not YAML or JSON', ''],
    ['name: Ada\nsteps: none', '--steps must be a whole number, got "none" (in the settings file)', ''],
  ])('%j is refused', async (text, ...messages) => {
    const { code, err } = await run('count', '--settings', settingsFile(text));
    expect(code).toBe(2);
    for (const message of messages) expect(err).toContain(message);
  });

  test('a missing file is named', async () => {
    const path = join(folder, 'none.yaml');
    const { code, err } = await run('count', 'Ada', '--settings', path);
    expect(code).toBe(1);
    expect(err).toBe(`error: ${path}: reading the settings failed: no such file or folder\n`);
  });
});

test('nearest takes small mistakes, beginnings and other spellings, nothing else', () => {
  const names = ['learningRate', 'localityWeight', 'steps'];
  expect(nearest('learning_rate', names)).toBe('learningRate');
  expect(nearest('lerningRate', names)).toBe('learningRate');
  expect(nearest('locality', names)).toBe('localityWeight');
  expect(nearest('st', names)).toBeUndefined();
  expect(nearest('momentum', names)).toBeUndefined();
});

test('help and version', async () => {
  const help = await run('--help');
  expect(help.code).toBe(0);
  expect(help.err).toBe('');
  expect(help.out).toMatchSnapshot();
  expect((await run('help', 'count')).out).toBe((await run('count', '--help')).out);
  expect((await run('count', '--help')).out).toMatchSnapshot();
  expect((await run('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/);
});
