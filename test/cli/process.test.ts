// The program as a process: exit codes, signals, closed pipes, and what a real terminal shows.

import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const fake = fileURLToPath(new URL('./fake-program.ts', import.meta.url));
const env = { PATH: process.env.PATH, HOME: process.env.HOME, TERM: 'xterm-256color', LANG: 'C.UTF-8' };

function program(file: string, ...argv: string[]) {
  return spawnSync(process.execPath, ['--import', 'tsx', file, ...argv], { cwd: root, env, encoding: 'utf8' });
}

describe('exit codes', () => {
  test.each([
    [['count', 'Ada'], 0],
    [['fail'], 1],
    [['cuont'], 2],
    [['fail', '--how', 'bug'], 70],
    [['fail', '--how', 'later', '--json'], 70],
  ])('%j: %i', (argv, code) => {
    const { status, stdout } = program(fake, ...argv);
    expect(status).toBe(code);
    if (argv.includes('--json')) expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'bug' } });
  });
});

test('the real program lists its commands without loading what they need', () => {
  const { status, stdout, stderr } = program(join('src', 'cli', 'main.ts'), '--help');
  expect(status).toBe(0);
  expect(stderr).toBe('');
  expect(stdout).toContain('malmen COMMAND --help');
});

test('SIGINT stops after the step, a second one at once', async () => {
  const argv = ['--import', 'tsx', fake, 'count', 'Ada', '--steps', '1000', '--step-ms'];
  for (const [stepMs, signals] of [
    [20, 1],
    [60_000, 2],
  ] as const) {
    const child = spawn(process.execPath, [...argv, String(stepMs)], { cwd: root, env });
    const ended = once(child, 'exit');
    await once(child.stderr, 'data');
    child.kill('SIGINT');
    if (signals === 2) {
      await once(child.stderr, 'data');
      await sleep(600); // sooner, it would be the same press
      child.kill('SIGINT');
    }
    // Shells report 130 for both.
    expect(await ended).toEqual(signals === 1 ? [130, null] : [null, 'SIGINT']);
  }
});

test('a reader that goes away ends the program quietly', () => {
  const script = `"$NODE" --import tsx "${fake}" flood | head -n 1; echo "\${PIPESTATUS[0]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', script], {
    cwd: root,
    env: { ...env, NODE: process.execPath },
    encoding: 'utf8',
  });
  expect(stdout).toBe('line 0\n141\n');
  expect(stderr).toBe('');
});

test('bin/malmen.js says what to do when nothing is built', () => {
  const folder = mkdtempSync(join(tmpdir(), 'malmen-bin-'));
  mkdirSync(join(folder, 'bin'));
  copyFileSync(join(root, 'bin', 'malmen.js'), join(folder, 'bin', 'malmen.mjs'));
  const { status, stderr } = spawnSync(process.execPath, [join(folder, 'bin', 'malmen.mjs')], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  expect(status).toBe(1);
  expect(stderr).toBe('error: malmen is not built yet: run `npm run build` in its folder\n');
});

const hasTmux = spawnSync('tmux', ['-V']).status === 0;
if (!hasTmux) console.warn('skipped: the tests on a real terminal need tmux, which is not installed');

describe.skipIf(!hasTmux)('on a real terminal', () => {
  const socket = `malmen-test-${process.pid}`;
  const tmux = async (...argv: string[]) =>
    (await promisify(execFile)('tmux', ['-L', socket, ...argv], { env })).stdout;
  afterAll(() => tmux('kill-server').catch(() => {})); // none is left if no test started one

  async function screen(session: string): Promise<string[]> {
    return (await tmux('capture-pane', '-p', '-t', session)).trimEnd().split('\n');
  }

  async function screenWith(session: string, text: RegExp): Promise<string[]> {
    for (let waitedMs = 0; waitedMs < 20_000; waitedMs += 50) {
      const lines = await screen(session);
      if (lines.some((line) => text.test(line))) return lines;
      await sleep(50);
    }
    throw new Error(`${text} never appeared:\n${(await screen(session)).join('\n')}`);
  }

  async function start(session: string, columns: number, ...argv: string[]): Promise<void> {
    const command = `"${process.execPath}" --import tsx "${fake}" ${argv.join(' ')}; echo "exit $?"; sleep 60`;
    await tmux(
      '-f',
      '/dev/null',
      'new-session',
      '-d',
      '-s',
      session,
      '-x',
      `${columns}`,
      '-y',
      '12',
      '-c',
      root,
      command,
    );
  }

  test.each([80, 120])('%i columns: a bar in one line, then a clean screen', async (columns) => {
    const session = `bar-${columns}`;
    await start(session, columns, 'count', 'Ada', '--steps', '40', '--step-ms', '25');
    const running = await screenWith(session, /█.*left/);
    expect(running.filter((line) => line.includes('numbers'))).toHaveLength(1);
    expect(running.slice(0, 2)).toEqual(['Ada counts', 'warning: two is even']);
    const over = await screenWith(session, /exit 0/);
    expect(over).toEqual([
      'Ada counts',
      'warning: two is even',
      expect.stringMatching(/^✓ counting: 40\/40 numbers, in 0:0\d, \d+\.\d\/s, loss 0\.02439/),
      '',
      'Counted',
      'name  steps',
      'Ada      40',
      'exit 0',
    ]);
  });

  test('Ctrl-C leaves a clean screen and a visible cursor', async () => {
    await start('interrupt', 80, 'count', 'Ada', '--steps', '4000', '--step-ms', '25', '--no-loud');
    await screenWith('interrupt', /█.*left|░.*left/);
    await tmux('send-keys', '-t', 'interrupt', 'C-c');
    const lines = await screenWith('interrupt', /exit|stopped/);
    expect(lines[0]).toBe('stopping after this step (press Ctrl-C again to stop at once)');
    expect(lines[1]).toMatch(/^- counting: \d+\/4,000 numbers/);
    expect(lines[2]).toBe('stopped: the command was interrupted before its end');
    expect((await tmux('display-message', '-p', '-t', 'interrupt', '#{cursor_flag} #{wrap_flag}')).trim()).toBe('1 1');
  });
});
