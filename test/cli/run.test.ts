// A whole run on a fake terminal: streams, JSON, colours, failures, Ctrl-C.

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { runCli } from '../../src/cli/run.js';
import { fakeCommands } from './fake-commands.js';
import { FakeTerminal, screenOf } from './fake-terminal.js';

// biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may appear
const control = /[\x00-\x09\x0b-\x1f\x7f-\x9f]/;

describe('where output goes', () => {
  test('to files and pipes: plain lines, notes and tables on stdout, the rest on stderr', async () => {
    const terminal = new FakeTerminal();
    expect(await runCli(['count', 'Ada'], terminal, fakeCommands)).toBe(0);
    expect(terminal.stdout.text).toBe('Ada counts\n\nCounted\nname  steps\nAda       3\n');
    expect(terminal.stderr.text).toBe(
      'counting: 0/3 numbers, loss 1, gradient norm 0, learning rate 1.00e-5, success 0\n' +
        'warning: two is even\n' +
        'counting: 3/3 numbers, in 0:00, loss 0.2500, gradient norm 0.7500, learning rate 1.00e-5, success 0.3000\n',
    );
    expect(terminal.stdout.text + terminal.stderr.text).not.toMatch(control);
  });

  test('--json: one object on stdout, only warnings on stderr', async () => {
    const terminal = new FakeTerminal();
    expect(await runCli(['count', 'Ada', '--json'], terminal, fakeCommands)).toBe(0);
    expect(terminal.stdout.text).toBe('{"name":"Ada","steps":3,"stepMs":0,"pace":"steady","loud":true}\n');
    expect(terminal.stderr.text).toBe('warning: two is even\n');
  });

  test('--json on a terminal shows progress on stderr', async () => {
    const terminal = new FakeTerminal({ isTTY: true });
    expect(await runCli(['count', 'Ada', '--json'], terminal, fakeCommands)).toBe(0);
    expect(JSON.parse(terminal.stdout.text)).toMatchObject({ name: 'Ada' });
    expect(terminal.stderr.text).toContain('█');
  });

  test('--quiet: no progress and no notes', async () => {
    const terminal = new FakeTerminal({ isTTY: true, env: { NO_COLOR: '1' } });
    expect(await runCli(['count', 'Ada', '--quiet'], terminal, fakeCommands)).toBe(0);
    expect(terminal.stdout.text).toBe('Counted\nname  steps\nAda       3\n');
    expect(terminal.stderr.text).toBe('warning: two is even\n');
  });

  test.each([80, 120])('a terminal of %i columns shows what happened and no debris', async (columns) => {
    const terminal = new FakeTerminal({ isTTY: true, columns });
    await runCli(['count', 'Ada'], terminal, fakeCommands);
    const [warning, counted, ...rest] = screenOf(terminal.stderr.text, columns);
    expect(warning).toBe('warning: two is even');
    expect(counted).toMatch(/^✓ counting: 3\/3 numbers, in 0:00, loss 0.2500/);
    expect(rest).toEqual(['']);
  });
});

describe('colours', () => {
  const yellow = '\x1b[33mwarning:\x1b[39m';

  test.each([
    [true, {}, true],
    [true, { NO_COLOR: '1' }, false],
    [true, { NO_COLOR: '1', FORCE_COLOR: '1' }, false],
    [true, { TERM: 'dumb' }, false],
    [true, { FORCE_COLOR: '0' }, false],
    [false, {}, false],
    [false, { FORCE_COLOR: '1' }, true],
  ])('terminal %s, %j: %s', async (isTTY, env, coloured) => {
    const terminal = new FakeTerminal({ isTTY, env });
    await runCli(['count', 'Ada'], terminal, fakeCommands);
    expect(terminal.stderr.text.includes(yellow)).toBe(coloured);
  });
});

describe('failures', () => {
  test('of the user: the message, exit code 1', async () => {
    const terminal = new FakeTerminal();
    expect(await runCli(['fail'], terminal, fakeCommands)).toBe(1);
    expect(terminal.stderr.text).toBe('error: facts.jsonl:3: edit.answer is empty; give the answer\n');
    expect(terminal.stdout.text).toBe('');
  });

  test('of the user with --json: an object on stdout', async () => {
    const terminal = new FakeTerminal();
    expect(await runCli(['fail', '--json'], terminal, fakeCommands)).toBe(1);
    expect(JSON.parse(terminal.stdout.text)).toEqual({
      error: { code: 'bad-input', message: 'facts.jsonl:3: edit.answer is empty; give the answer' },
    });
    expect(terminal.stderr.text).toBe('');
  });

  test.each([[[]], [['--json']]])('of the program %j: the stack, exit code 70', async (more) => {
    const terminal = new FakeTerminal();
    expect(await runCli(['fail', '--how', 'bug', ...more], terminal, fakeCommands)).toBe(70);
    expect(terminal.stderr.text).toMatch(/^bug: .*report.*\nTypeError: the invariant does not hold\n +at /);
    const json = { error: { code: 'bug', message: 'the invariant does not hold' } };
    expect(terminal.stdout.text).toBe(more.length === 0 ? '' : `${JSON.stringify(json)}\n`);
  });
});

describe.each(['SIGINT', 'SIGTERM'])('%s', (signal) => {
  test('once: the command stops and reports itself interrupted', async () => {
    const terminal = new FakeTerminal();
    const running = runCli(['count', 'Ada', '--step-ms', '20', '--steps', '500'], terminal, fakeCommands);
    await sleep(100);
    terminal.signals.emit(signal);
    expect(await running).toBe(130);
    expect(terminal.ends).toBe(0);
    expect(terminal.stderr.text).toContain('\nstopping after this step (press Ctrl-C again to stop at once)\n');
    expect(terminal.stderr.text).toMatch(/\nstopped: the command was interrupted before its end\n$/);
    expect(terminal.signals.listenerCount(signal)).toBe(0);
  });

  test('twice: the program ends at once, the line that was redrawn is gone', async () => {
    const terminal = new FakeTerminal({ isTTY: true });
    const running = runCli(['count', 'Ada', '--step-ms', '50', '--steps', '9'], terminal, fakeCommands);
    await sleep(20);
    terminal.signals.emit(signal);
    terminal.nowMs += 1000;
    terminal.signals.emit(signal);
    expect(terminal.ends).toBe(1);
    expect(screenOf(terminal.stderr.text, 80).at(-1)).toBe('');
    await running;
  });

  test('twice for one press, as npm passes it on: the command stops as after one', async () => {
    const terminal = new FakeTerminal();
    const running = runCli(['count', 'Ada', '--step-ms', '20', '--steps', '500'], terminal, fakeCommands);
    await sleep(20);
    terminal.signals.emit(signal);
    terminal.nowMs += 20;
    terminal.signals.emit(signal);
    expect(await running).toBe(130);
    expect(terminal.ends).toBe(0);
    expect(terminal.stderr.text.split('stopping after this step')).toHaveLength(2);
  });
});
