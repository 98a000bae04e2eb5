// Stages, numbers and tables as text, with a clock moved by hand.

import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { fitCommand, fitText } from '../../src/cli/fit-text.js';
import { formatDuration, formatNumber, formatNumbers, formatRate } from '../../src/cli/number-format.js';
import { Progress } from '../../src/cli/progress.js';
import { runningLine } from '../../src/cli/stage-line.js';
import { type ProgressEvent, StageMeter } from '../../src/cli/stage-meter.js';
import { layOutTable, type TableEvent } from '../../src/cli/table.js';
import { clip, manyLines, oneLine, textWidth } from '../../src/cli/text-width.js';
import { FakeTerminal, screenOf } from './fake-terminal.js';

const step = (done: number, total?: number, values?: Record<string, number>): ProgressEvent => ({
  kind: 'progress',
  stage: 'train',
  done,
  unit: 'steps',
  ...(total === undefined ? {} : { total }),
  ...(values === undefined ? {} : { values }),
});

describe('rate and time left', () => {
  test('come from the steps of the window, also when a run is resumed', () => {
    const meter = new StageMeter(step(500, 1000), 0);
    expect(meter.read(0)).toMatchObject({ rate: undefined, leftSeconds: undefined, meanRate: undefined });
    for (let second = 1; second <= 20; second++) meter.update(step(500 + 4 * second, 1000), 1000 * second);
    expect(meter.read(20_000)).toMatchObject({ rate: 4, leftSeconds: 105, meanRate: 4, elapsedSeconds: 20 });
  });

  test('follow a change of speed; the mean does not', () => {
    const meter = new StageMeter(step(0, 1000), 0);
    for (let second = 1; second <= 60; second++) meter.update(step(second, 1000), 1000 * second);
    for (let second = 1; second <= 15; second++) meter.update(step(60 + 10 * second, 1000), 1000 * (60 + second));
    expect(meter.read(75_000)).toMatchObject({ rate: 10, leftSeconds: 79, meanRate: 210 / 75 });
  });

  test('steps slower than the window still have a rate, and time left runs on between them', () => {
    const meter = new StageMeter(step(0, 10), 0);
    for (let done = 1; done <= 5; done++) meter.update(step(done, 10), 40_000 * done);
    expect(meter.read(200_000)).toMatchObject({ rate: 1 / 40, leftSeconds: 200 });
    expect(meter.read(230_000).leftSeconds).toBe(170);
    expect(meter.read(900_000).leftSeconds).toBe(0);
  });

  test('events in quick succession count', () => {
    const meter = new StageMeter(step(0, 100_000), 0);
    for (let done = 1; done <= 50_000; done++) meter.update(step(done, 100_000), done / 5);
    expect(meter.read(10_000)).toMatchObject({ rate: 5000, leftSeconds: 10 });
  });
});

describe('the running line', () => {
  const values = { loss: 0.123456, locality: 0.00002, success: 1, 'gradient norm': 12.3456 };

  test('shows what fits', () => {
    const meter = new StageMeter(step(0, 100), 0);
    meter.update(step(45, 100, values), 15_000);
    expect(runningLine(meter.read(15_000), 79)).toBe(
      'train  █████░░░░░░░░  45/100 steps  3.0/s  0:18 left  loss 0.1235',
    );
    expect(runningLine(meter.read(15_000), 119)).toMatchInlineSnapshot(
      `"train  ████████░░░░░░░░░░░  45/100 steps  3.0/s  0:18 left  loss 0.1235  locality 2.00e-5  success 1"`,
    );
    expect(runningLine(meter.read(15_000), 20)).toBe('train  45/100 steps…');
  });

  test('without a known end shows the time so far', () => {
    const meter = new StageMeter(step(0), 0);
    meter.update(step(12_345), 65_000);
    expect(runningLine(meter.read(65_000), 79)).toBe('train  12,345 steps  190/s  1:05');
  });

  test('is never wider than the terminal', () => {
    const number = fc.oneof(fc.double(), fc.nat());
    const readings = fc.record({
      stage: fc.string({ maxLength: 40 }).map(oneLine),
      unit: fc.constantFrom('steps', 'facts'),
      done: fc.nat(),
      total: fc.option(fc.nat(), { nil: undefined }),
      values: fc.dictionary(fc.string({ maxLength: 9 }).map(oneLine), number),
      elapsedSeconds: fc.nat(),
      rate: fc.option(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), { nil: undefined }),
      leftSeconds: fc.option(fc.nat(), { nil: undefined }),
      meanRate: fc.constant(undefined),
    });
    fc.assert(
      fc.property(readings, fc.integer({ min: 1, max: 200 }), (reading, columns) => {
        expect(textWidth(runningLine(reading, columns))).toBeLessThanOrEqual(columns);
      }),
    );
  });
});

describe('progress on a terminal', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test.each([80, 120])('one line of at most %i columns is redrawn and leaves a summary', (columns) => {
    const terminal = new FakeTerminal({ isTTY: true, columns, env: { NO_COLOR: '1' } });
    const progress = new Progress({ ...terminal, now: () => Date.now() });
    for (let done = 0; done <= 100; done++) {
      progress.update(step(done, 100, { loss: 1 / (1 + done), locality: 0.5, 'gradient norm': done }));
      vi.advanceTimersByTime(250);
      const lines = screenOf(terminal.stderr.text, columns);
      if (done === 50) progress.aside(() => terminal.stderr.write('half\n'));
      if (done > 50 && done < 100) expect(lines).toEqual(['half', expect.stringMatching(/^train {2}█+░+ {2}/)]);
    }
    progress.close();
    expect(screenOf(terminal.stderr.text, columns)).toEqual([
      'half',
      expect.stringMatching(/^✓ train: 100\/100 steps, in 0:25, 4\.0\/s, loss 0\.0099/),
      '',
    ]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('redraws are throttled, and time goes on without events', () => {
    const terminal = new FakeTerminal({ isTTY: true });
    const progress = new Progress({ ...terminal, now: () => Date.now() });
    for (let done = 0; done < 10_000; done++) {
      progress.update(step(done, 20_000));
      if (done % 10 === 0) vi.advanceTimersByTime(1);
    }
    const drawn = terminal.stderr.text.split('train').length - 1;
    expect(drawn).toBeGreaterThan(4);
    expect(drawn).toBeLessThan(12);
    const before = terminal.stderr.text.length;
    vi.advanceTimersByTime(3000);
    expect(terminal.stderr.text.length).toBeGreaterThan(before);
    progress.close();
  });

  test('never hides the cursor or changes a mode that would have to be restored', () => {
    const terminal = new FakeTerminal({ isTTY: true });
    const progress = new Progress({ ...terminal, now: () => Date.now() });
    progress.update(step(1, 2));
    expect(terminal.stderr.text).not.toContain('\x1b[?');
    progress.close();
    expect(terminal.stderr.text).not.toContain('\x1b[?');
  });

  test('a stage inside another shows while it lasts; an endless one ends when the next begins', () => {
    const terminal = new FakeTerminal({ isTTY: true, env: { NO_COLOR: '1' } });
    const progress = new Progress({ ...terminal, now: () => Date.now() });
    progress.update({ ...step(7), stage: 'read' });
    progress.update(step(1, 2));
    progress.update({ ...step(1, 1), stage: 'validate' });
    progress.update(step(2, 2));
    progress.update(step(2, 2));
    progress.close();
    expect(screenOf(terminal.stderr.text, 80)).toEqual([
      '✓ read: 7 steps, in 0:00',
      '✓ validate: 1/1 steps, in 0:00',
      '✓ train: 2/2 steps, in 0:00',
      '',
    ]);
  });
});

describe('progress elsewhere', () => {
  test('is a plain line at the start, each tenth and the end', () => {
    const terminal = new FakeTerminal();
    const progress = new Progress(terminal);
    for (let done = 0; done <= 1000; done++) {
      progress.update(step(done, 1000, { loss: 1 }));
      terminal.nowMs += 100;
    }
    progress.close();
    const lines = terminal.stderr.text.trimEnd().split('\n');
    expect(lines).toHaveLength(11);
    expect(lines[0]).toBe('train: 0/1,000 steps, loss 1');
    expect(lines[5]).toBe('train: 500/1,000 steps, 10.0/s, 0:50 left, loss 1');
    expect(lines[10]).toBe('train: 1,000/1,000 steps, in 1:40, 10.0/s, loss 1');
  });

  test('fast stages and stages that run again say less', () => {
    const terminal = new FakeTerminal();
    const progress = new Progress(terminal);
    for (let round = 0; round < 3; round++) {
      for (let done = 0; done <= 10; done++) progress.update(step(done, 10));
    }
    expect(terminal.stderr.text).toBe(`train: 0/10 steps\n${'train: 10/10 steps, in 0:00\n'.repeat(3)}`);
  });

  test('a stage that is cut short says how far it came', () => {
    const terminal = new FakeTerminal();
    const progress = new Progress(terminal);
    progress.update(step(0, 10));
    terminal.nowMs = 500;
    progress.update(step(2, 10));
    progress.close();
    expect(terminal.stderr.text).toBe('train: 0/10 steps\ntrain: 2/10 steps, in 0:01, 4.0/s\n');
  });
});

test('numbers', () => {
  const shown: [number, string][] = [
    [12_345, '12,345'],
    [0, '0'],
    [-3, '-3'],
    [0.123456, '0.1235'],
    [12.3456, '12.35'],
    [123_456.7, '123,457'],
    [0.00001234, '1.23e-5'],
    [1e15, '1.00e+15'],
    [Number.NaN, 'NaN'],
    [Number.NEGATIVE_INFINITY, '-Infinity'],
  ];
  for (const [value, text] of shown) expect(formatNumber(value)).toBe(text);
  expect(formatNumbers([0.5, 12.25, Number.NaN])).toEqual(['0.50', '12.25', 'NaN']);
  expect(formatNumbers([1, 2000])).toEqual(['1', '2,000']);
  expect(formatNumbers([1e-6, 100.5])).toEqual(['1.00e-6', '100.5']);
  expect(formatNumbers([])).toEqual([]);
  expect([5, 65, 3725, 200_000].map(formatDuration)).toEqual(['0:05', '1:05', '1:02:05', '2d 7h']);
  expect([1234, 12.34, 0.25, 0.001].map(formatRate)).toEqual(['1,234/s', '12.3/s', '4.0 s each', '1,000 s each']);
});

function tableLines(table: TableEvent, columns: number | undefined): string[] {
  const { head, rows } = layOutTable(table, columns);
  return [...head, ...rows];
}

describe('tables', () => {
  const table = {
    kind: 'table',
    title: 'Scores',
    columns: ['fact', 'before', 'after'],
    rows: [
      ['The capital of France is', 0.25, 1],
      ['東京は日本の', null, 0.5],
      ['a very long\nprompt that goes on and on', 0.125, 12.5],
    ],
  } as const;

  test('align numbers to the right', () => {
    expect(tableLines(table, undefined)).toEqual([
      'fact                                     before  after',
      'The capital of France is                 0.2500   1.00',
      '東京は日本の                                  -   0.50',
      'a very long\\nprompt that goes on and on  0.1250  12.50',
    ]);
  });

  test('break texts, not numbers, where the width ends', () => {
    expect(tableLines(table, 30)).toEqual([
      'fact             before  after',
      'The capital      0.2500   1.00',
      '  of France is',
      '東京は日本の          -   0.50',
      'a very           0.1250  12.50',
      '  long\\nprompt',
      '  that goes on',
      '  and on',
    ]);
    const ids = { ...table, columns: ['id', 'n'], rows: [['atlas:region-country:Kentucky', 1]] } as const;
    expect(tableLines(ids, 26)).toEqual(['id                       n', 'atlas:region-country:    1', '  Kentucky']);
    for (const line of tableLines(table, 20)) expect(textWidth(line)).toBeLessThanOrEqual(20);
  });

  test('are never wider than the terminal unless their numbers are, and lose nothing of a text of three lines', () => {
    const words = fc.array(fc.string({ minLength: 1, maxLength: 8 }).map(oneLine), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(words, fc.integer({ min: 24, max: 120 }), ([first = '', ...rest], width) => {
        const text = [first, ...rest].join(' ');
        const lines = tableLines({ kind: 'table', title: '', columns: ['text', 'n'], rows: [[text, 1]] }, width);
        for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(width);
        if (lines.length > 4) return;
        const shown = lines.slice(1).map((line) => line.replace(/ +1$/, ''));
        expect(shown.join(' ').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
      }),
    );
  });

  test('with many numbers keep all of them: headings break', () => {
    const columns = ['', 'hyper-network', 'edited layers', 'normal equation', 'total'];
    const rows = [
      ['whole model', 102, 25, 213, 1340],
      ['block by block', 102, 13, 213, 628],
    ];
    expect(tableLines({ kind: 'table', title: '', columns, rows }, 58)).toEqual([
      '                hyper-network     edited     normal  total',
      '                                  layers   equation',
      'whole model               102         25        213  1,340',
      'block by block            102         13        213    628',
    ]);
  });

  test('may be empty', () => {
    expect(tableLines({ ...table, rows: [] }, 80)).toEqual(['fact  before  after']);
  });
});

test('text is measured in columns and cannot steer the terminal', () => {
  expect(['abc', '東京', 'é', 'e\u0301', '👍', 'ｆ'].map(textWidth)).toEqual([3, 4, 1, 1, 2, 2]);
  expect(clip('東京は', 4)).toBe('東…');
  expect(oneLine('a\x1b[2Jb\n\x9b')).toBe('a\\x1b[2Jb\\n\\x9b');
  expect(manyLines('a\r\nb\x07')).toBe('a\nb\\x07');
});

describe('sentences and commands', () => {
  const terminal = (columns: number) => new FakeTerminal({ isTTY: true, columns }).stdout;
  const file = new FakeTerminal().stdout;
  const sentence = 'the edited weights are saved as f16: rounding changes them by 0.022 % of the shift';
  const command = `npx malmen ask --model models/atlas --shift runs/demo/edited/shift.safetensors "Who wrote Foucault's Pendulum?"`;

  test('break between words on a terminal, never in a file', () => {
    expect(fitText(sentence, terminal(50))).toEqual([
      'the edited weights are saved as f16: rounding',
      'changes them by 0.022 % of the shift',
    ]);
    expect(fitText(`one\n${sentence}\x1b[2J`, file)).toEqual(['one', `${sentence}\\x1b[2J`]);
    expect(fitCommand(command, file)).toEqual([command]);
  });

  test('a path that is wider than the terminal stays whole', () => {
    const path = `/${'a'.repeat(60)}`;
    expect(fitText(`report: ${path} (open it)`, terminal(40))).toEqual(['report:', path, '(open it)']);
  });

  test('words stay in order, lines within the width', () => {
    const text = fc.array(fc.string({ maxLength: 12 }).map(oneLine), { maxLength: 30 }).map((words) => words.join(' '));
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 60 }), (words, columns) => {
        const lines = fitText(words, terminal(columns));
        expect(lines.join(' ')).toBe(words);
        for (const line of lines) expect(textWidth(line) <= columns || !line.includes(' ')).toBe(true);
      }),
    );
  });

  test.skipIf(process.platform === 'win32')('a command on several lines is the same command for a shell', () => {
    const lines = fitCommand(command, terminal(60));
    expect(lines).toEqual([
      'npx malmen ask --model models/atlas \\',
      '  --shift runs/demo/edited/shift.safetensors \\',
      `  "Who wrote Foucault's Pendulum?"`,
    ]);
    const words = (text: string) => execFileSync('sh', ['-c', `printf '%s|' ${text}`], { encoding: 'utf8' });
    expect(words(lines.join('\n'))).toBe(words(command));
    expect(fitCommand(command, terminal(200))).toEqual([command]);
  });
});
