// SPEC texts: kinds, slices, and what must hold between the records of a file.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { atlasFolder } from '../../src/data/atlas.js';
import { parseSpec, readRecords } from '../../src/data/spec.js';
import { MalmenError } from '../../src/errors.js';
import { jsonLines, messageOf, temporaryFiles } from './temporary-files.js';

const write = temporaryFiles();
const all = Number.POSITIVE_INFINITY;

describe('parseSpec', () => {
  test.each([
    ['jsonl:a.jsonl', { kind: 'jsonl', path: 'a.jsonl', leaveOut: false, slice: { start: 0, end: all } }],
    ['zsre!:b/c.json.gz#5', { kind: 'zsre', path: 'b/c.json.gz', leaveOut: true, slice: { start: 0, end: 5 } }],
    ['counterfact:c.json#2:7', { kind: 'counterfact', path: 'c.json', leaveOut: false, slice: { start: 2, end: 7 } }],
    ['pararel:folder#:7', { kind: 'pararel', path: 'folder', leaveOut: false, slice: { start: 0, end: 7 } }],
    ['jsonl:a#3:', { kind: 'jsonl', path: 'a', leaveOut: false, slice: { start: 3, end: all } }],
    ['jsonl:a#:', { kind: 'jsonl', path: 'a', leaveOut: false, slice: { start: 0, end: all } }],
    ['jsonl:a#:0', { kind: 'jsonl', path: 'a', leaveOut: false, slice: { start: 0, end: 0 } }],
    ['jsonl:C:\\a b.jsonl', { kind: 'jsonl', path: 'C:\\a b.jsonl', leaveOut: false, slice: { start: 0, end: all } }],
    ['csv:a.txt#2', { kind: 'csv', path: 'a.txt', leaveOut: false, slice: { start: 0, end: 2 } }],
    ['a b.csv', { kind: 'csv', path: 'a b.csv', leaveOut: false, slice: { start: 0, end: all } }],
    ['d.x/FACTS.TSV.gz#3:', { kind: 'csv', path: 'd.x/FACTS.TSV.gz', leaveOut: false, slice: { start: 3, end: all } }],
    ['a.jsonl.gz#:', { kind: 'jsonl', path: 'a.jsonl.gz', leaveOut: false, slice: { start: 0, end: all } }],
    ['C:\\a.csv#1', { kind: 'csv', path: 'C:\\a.csv', leaveOut: false, slice: { start: 0, end: 1 } }],
    ['facts #2.csv', { kind: 'csv', path: 'facts #2.csv', leaveOut: false, slice: { start: 0, end: all } }],
    ['facts #2.csv#4', { kind: 'csv', path: 'facts #2.csv', leaveOut: false, slice: { start: 0, end: 4 } }],
    ['./x:y.csv', { kind: 'csv', path: './x:y.csv', leaveOut: false, slice: { start: 0, end: all } }],
    ['atlas:t#3', { kind: 'atlas', path: 't', leaveOut: false, slice: { start: 0, end: 3 } }],
    ['atlas:', { kind: 'atlas', path: atlasFolder, leaveOut: false, slice: { start: 0, end: all } }],
    [
      'atlas-held-out:#3:',
      { kind: 'atlas-held-out', path: atlasFolder, leaveOut: false, slice: { start: 3, end: all } },
    ],
    ['jsonl:a#b.jsonl#1:2', { kind: 'jsonl', path: 'a#b.jsonl', leaveOut: false, slice: { start: 1, end: 2 } }],
  ])('%s', (text, expected) => {
    expect(parseSpec(text)).toEqual(expected);
  });

  test.each([
    '',
    'a.json',
    '.csv',
    'a.csvx',
    'csv',
    'squad:a.csv',
    'a.csv#1#2',
    'squad:a',
    'jsonl',
    'jsonl:',
    'jsonl:#3',
    ':a',
    'JSONL:a',
    'constructor:a',
    ' squad:a',
  ])('%j names the kinds', (text) => {
    expect(() => parseSpec(text)).toThrow(
      expect.objectContaining({
        code: 'bad-input',
        message: expect.stringMatching(
          /^'.*': expected a file ending in \.csv, .*, or KIND:PATH with KIND one of .*csv/,
        ),
      }),
    );
  });

  test('the kind that was meant is named, and what to do with a workbook', () => {
    expect(() => parseSpec('zsr:a.json')).toThrow('did you mean zsre?');
    expect(() => parseSpec('jsnol:a.jsonl')).toThrow('did you mean jsonl?');
    expect(() => parseSpec('facts.xlsx')).toThrow("save it as 'CSV UTF-8'");
  });

  test.each(['a.csv#x', 'jsonl:a#', 'jsonl:a#x', 'jsonl:a#-3:', 'jsonl:a#1.5', 'jsonl:a#1:2:3', 'jsonl:a#b.jsonl'])(
    '%j names the forms of a slice',
    (text) => {
      expect(() => parseSpec(text)).toThrow(
        expect.objectContaining({
          code: 'bad-input',
          message: expect.stringContaining('the slice must be a:b, a:, :b or n'),
        }),
      );
    },
  );
});

const fact = (at: number) => ({ id: `f${at}`, edit: { prompt: `Fact ${at} is`, answer: `answer ${at}` } });
const seven = write('seven.jsonl', jsonLines([0, 1, 2, 3, 4, 5, 6].map(fact)));
const idsOf = async (spec: string) => (await readRecords(spec)).map(({ id }) => id);

describe('slices', () => {
  const ids = [0, 1, 2, 3, 4, 5, 6].map((at) => `f${at}`);
  const bound = fc.option(fc.nat(9), { nil: undefined });

  test('are those of an array', async () => {
    await fc.assert(
      fc.asyncProperty(bound, bound, async (start, end) => {
        const expected = ids.slice(start, end);
        const spec = `jsonl:${seven}#${start ?? ''}:${end ?? ''}`;
        if (expected.length > 0) expect(await idsOf(spec)).toEqual(expected);
        else expect(await messageOf(readRecords(spec))).toBe(`bad-input: '${spec}': holds no record; the file has 7`);
      }),
    );
  });

  test('a single number is a count', async () => {
    expect(await idsOf(`jsonl:${seven}#2`)).toEqual(['f0', 'f1']);
    expect(await messageOf(readRecords(`jsonl:${seven}#0`))).toMatch('holds no record');
  });

  test('neighbouring slices share nothing and miss nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 6 }), async (cut) => {
        expect([...(await idsOf(`jsonl:${seven}#:${cut}`)), ...(await idsOf(`jsonl:${seven}#${cut}:`))]).toEqual(ids);
      }),
    );
  });

  test('what is wrong outside the slice is found all the same', async () => {
    const path = write('a.jsonl', `${jsonLines([fact(0), fact(1)])}x\n`);
    expect(await messageOf(readRecords(`jsonl:${path}#1`))).toMatch(`${path}:3: not JSON`);
  });
});

describe('records that cannot stand together', () => {
  const first = fact(0);

  test('an id twice', async () => {
    const path = write('a.jsonl', jsonLines([first, fact(1), { ...fact(2), id: 'f0' }]));
    const problem = `${path}:3: id: 'f0' is taken by a.jsonl:1; ids must be unique`;
    expect(await messageOf(readRecords(`jsonl:${path}`))).toContain(problem);
    expect(await idsOf(`jsonl!:${path}`)).toEqual(['f0', 'f1']);
  });

  test('a prompt with two answers', async () => {
    const edit = { prompt: 'Fact 0 is ', answer: 'another' };
    const path = write('a.jsonl', jsonLines([first, fact(1), { id: 'x', edit }]));
    const problem = `${path}:3: edit.answer: 'Fact 0 is' is edited to 'answer 0' by a.jsonl:1 and to 'another' here`;
    expect(await messageOf(readRecords(`jsonl:${path}`))).toContain(problem);
    expect(await idsOf(`jsonl!:${path}`)).toEqual(['f0', 'f1']);
  });

  test('both at once are two problems; what was refused stands in nobody’s way', async () => {
    const clash = { id: 'f0', edit: { ...first.edit, answer: 'another' } };
    const path = write(
      'a.jsonl',
      jsonLines([first, clash, { id: 'y', edit: clash.edit }, { id: 'z', edit: first.edit }]),
    );
    expect(await messageOf(readRecords(`jsonl:${path}`))).toMatch(/^bad-input: 3 problems\n/);
    expect(await idsOf(`jsonl!:${path}`)).toEqual(['f0', 'z']);
  });

  test('in a list, the element is named', async () => {
    const row = { subject: 's', src: 'What?', rephrase: 'Which?', alt: 'a', loc: 'l', loc_ans: 'a' };
    const path = write('a.json', JSON.stringify([row, { ...row, alt: 'b' }]));
    const problem = `${path}: record 2: edit.answer: 'What?' is edited to 'a' by a.json: record 1 and to 'b' here`;
    expect(await messageOf(readRecords(`zsre:${path}`))).toContain(problem);
  });
});

describe('reading', () => {
  test.each(['jsonl', 'zsre', 'counterfact', 'pararel', 'atlas', 'atlas-held-out'])(
    '%s: a missing file is not found',
    async (kind) => {
      const message = await messageOf(readRecords(`${kind}:${seven}.none`));
      expect(message).toMatch(`not-found: ${seven}.none: `);
    },
  );

  test('nothing left after leaving out', async () => {
    const path = write('a.jsonl', 'x\ny\n');
    const expected = `bad-input: 'jsonl!:${path}': holds no record; the file has 0 (2 problems left out)`;
    expect(await messageOf(readRecords(`jsonl!:${path}`))).toBe(expected);
  });

  test('can be stopped', async () => {
    const reason = new MalmenError('interrupted', 'enough');
    await expect(readRecords(`jsonl:${seven}`, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(await readRecords(`jsonl:${seven}`, { signal: new AbortController().signal })).toHaveLength(7);
  });
});
