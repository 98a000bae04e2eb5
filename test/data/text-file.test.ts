// Lines of files as they come: packed, cut anywhere, with other line ends, damaged.

import { mkdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readLines, readText } from '../../src/data/text-file.js';
import { MalmenError } from '../../src/errors.js';
import { messageOf, temporaryFiles } from './temporary-files.js';

const write = temporaryFiles();

async function linesOf(path: string, signal?: AbortSignal): Promise<[number, string][]> {
  const lines: [number, string][] = [];
  for await (const { line, text } of readLines(path, signal)) lines.push([line, text]);
  return lines;
}

describe('lines', () => {
  test.each<[string, string, [number, string][]]>([
    [
      'blank lines are counted, not read',
      'a\n\n \nb\n',
      [
        [1, 'a'],
        [4, 'b'],
      ],
    ],
    [
      'the last line needs no end',
      'a\nb',
      [
        [1, 'a'],
        [2, 'b'],
      ],
    ],
    [
      'carriage returns',
      'a\r\n\r\nb\r\n',
      [
        [1, 'a'],
        [3, 'b'],
      ],
    ],
    [
      'a byte order mark',
      '\uFEFFa\nb',
      [
        [1, 'a'],
        [2, 'b'],
      ],
    ],
    ['separators inside a text', 'a\u2028b\u0085c\vd\n', [[1, 'a\u2028b\u0085c\vd']]],
  ])('%s', async (_, content, expected) => {
    expect(await linesOf(write('a.txt', content))).toEqual(expected);
    expect(await linesOf(write('a.txt.gz', gzipSync(content)))).toEqual(expected);
  });

  test('any text, wherever the pieces of the file are cut', async () => {
    const unit = fc.constantFrom('a', 'é', '東', '🌍', '\n', '\n\n', ' ', 'b'.repeat(40_000));
    await fc.assert(
      fc.asyncProperty(fc.array(unit, { minLength: 1, maxLength: 12 }), async (units) => {
        const content = `x${units.join('')}`;
        const expected = content.split('\n').flatMap((text, at) => (text.trim() === '' ? [] : [[at + 1, text]]));
        expect(await linesOf(write('a.txt', content))).toEqual(expected);
        expect(await readText(write('a.txt.gz', gzipSync(content)))).toBe(content);
      }),
      { numRuns: 40 },
    );
  });

  test('several gzip members are one text', async () => {
    const packed = Buffer.concat([gzipSync('a\nb'), gzipSync('c\n')]);
    expect(await linesOf(write('a.gz', packed))).toEqual([
      [1, 'a'],
      [2, 'bc'],
    ]);
  });
});

describe('files that cannot be read', () => {
  const whole = gzipSync('a line that is packed\n'.repeat(99));
  const cases: [string, () => string, RegExp][] = [
    ['missing', () => `${write('a', 'x')}.none`, /^not-found: .*\.none: reading failed: no such file/],
    ['missing, packed', () => `${write('a', 'x')}.gz`, /^not-found: .*a\.gz: /],
    ['a folder', () => folder(), /^bad-input: .*: a file was expected where a folder is/],
    ['empty', () => write('a.jsonl', ''), /^bad-input: .*a\.jsonl: the file is empty/],
    ['blank', () => write('a.jsonl', ' \n\n'), /^bad-input: .*a\.jsonl: the file is empty/],
    ['empty, packed', () => write('a.gz', gzipSync('')), /^bad-input: .*a\.gz: the file is empty/],
    [
      'not packed at all',
      () => write('a.gz', 'plain text'),
      /^bad-input: .*a\.gz: not a gzip file, or one that was cut off/,
    ],
    [
      'cut off',
      () => write('a.gz', whole.subarray(0, -9)),
      /^bad-input: .*a\.gz: not a gzip file, or one that was cut off/,
    ],
    [
      'another encoding',
      () => write('a.txt', Buffer.from('caf\u00e9 au lait', 'latin1')),
      /^bad-input: .*a\.txt: not text in UTF-8/,
    ],
    [
      'cut inside a character',
      () => write('a.txt', Buffer.from('é').subarray(0, 1)),
      /^bad-input: .*a\.txt: not text in UTF-8/,
    ],
  ];

  function folder(): string {
    const path = `${write('a', 'x')}-folder`;
    mkdirSync(path);
    return path;
  }

  test.each(cases)('%s', async (_, make, expected) => {
    const path = make();
    expect(await messageOf(linesOf(path))).toMatch(expected);
    expect(await messageOf(readText(path))).toMatch(expected);
  });
});

test('stops when told to, with the reason given', async () => {
  const reason = new MalmenError('interrupted', 'enough');
  const path = write('a.txt', 'a\n');
  await expect(linesOf(path, AbortSignal.abort(reason))).rejects.toBe(reason);
  await expect(readText(path, AbortSignal.abort(reason))).rejects.toBe(reason);
  await expect(linesOf(path, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' });
});
