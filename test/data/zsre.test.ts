// zsRE in its two layouts, made up and real.

import { readFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { readRecords } from '../../src/data/spec.js';
import { isAbsent, sharedPath } from './stored-data.js';
import { fixturePath, messageOf, temporaryFiles } from './temporary-files.js';

const write = temporaryFiles();

describe('the keys of MEND', () => {
  const path = fixturePath('zsre.json');

  test('src becomes alt, the first of the answers was true, loc gets its question mark', async () => {
    const records = await readRecords(`zsre:${path}`);
    expect(records).toHaveLength(5);
    expect(records[0]).toEqual({
      id: 'zsre-1',
      subject: 'Arvedia',
      edit: { prompt: 'What is the capital of Arvedia?', answer: 'Tolm' },
      rephrasings: [{ prompt: 'Which city is the capital of Arvedia?', answer: 'Tolm' }],
      unrelated: [{ prompt: 'nq question: who wrote grey reeds?', answer: 'Ilse Vond' }],
      was: 'Quen',
    });
    expect(records.map(({ was }) => was)).toEqual(['Quen', 'Tolm', 'Ilse Vond', undefined, undefined]);
  });

  test('packed', async () => {
    const packed = write('zsre.json.gz', gzipSync(readFileSync(path)));
    expect(await readRecords(`zsre:${packed}`)).toEqual(await readRecords(`zsre:${path}`));
  });

  const row = {
    subject: 'Hult',
    src: 'What?',
    rephrase: 'Which?',
    alt: 'Quen',
    answers: ['T'],
    loc: 'l',
    loc_ans: 'a',
  };

  test.each<[string, object, string]>([
    ['an empty answer', { alt: '' }, 'alt: expected text, got ""'],
    ['a list where text belongs', { loc_ans: ['a'] }, 'loc_ans: expected text, got ["a"]'],
    ['text where a list belongs', { answers: 'T' }, 'answers: expected a list, got "T"'],
    ['an empty old answer', { answers: [''] }, 'answers.0: expected text, got ""'],
    ['an id that is neither text nor number', { id: true }, 'id: expected text or a number, got true'],
    [
      'a misspelt field',
      { rephrase: undefined, rephrased: 'Which?' },
      "rephrase: expected text, got nothing; there is 'rephrased', is it misspelt?",
    ],
  ])('%s', async (_, change, problem) => {
    const bad = write('a.json', JSON.stringify([row, { ...row, src: 'Who?', ...change }]));
    expect(await messageOf(readRecords(`zsre:${bad}`))).toMatch(`bad-input: ${bad}: record 2: ${problem}\n`);
    expect(await readRecords(`zsre!:${bad}`)).toHaveLength(1);
  });

  test.each([
    ['', 'the file is empty'],
    ['[', 'not JSON: '],
    ['[]', 'the list is empty'],
    ['{"data": []}', 'expected a list of records'],
    ['null', 'expected a list of records'],
  ])('%j is no list of records', async (content, problem) => {
    const bad = write('a.json', content);
    expect(await messageOf(readRecords(`zsre:${bad}`))).toMatch(`bad-input: ${bad}: ${problem}`);
    expect(await messageOf(readRecords(`zsre!:${bad}`))).toMatch(`bad-input: ${bad}: ${problem}`);
  });

  test.each([['text'], [5], [null], [[]]])('%j is no record', async (element) => {
    const bad = write('a.json', JSON.stringify([row, element]));
    const got = JSON.stringify(element);
    expect(await messageOf(readRecords(`zsre:${bad}`))).toContain(`${bad}: record 2: expected an object, got ${got}\n`);
  });
});

describe('questions and targets', () => {
  test('a record a line, without rephrasings and unrelated facts; the names of the columns are left out', async () => {
    const records = await readRecords(`zsre:${fixturePath('zsre.tsv')}`);
    expect(records).toHaveLength(5);
    expect(records[2]).toEqual({
      id: 'zsre-4',
      edit: { prompt: 'Into what does the Orm flow?', answer: 'Lake Tyr' },
      rephrasings: [],
      unrelated: [],
    });
  });

  test.each([
    ['no tab', 'Who? Pell'],
    ['no target', 'Who?\t '],
    ['no question', '\tPell'],
    ['a third column', 'Who?\tPell\tArno'],
  ])('%s', async (_, line) => {
    const bad = write('a.tsv', `What?\tQuen\n${line}\n`);
    const problem = `${bad}:2: expected a question and a target, with one tab between`;
    expect(await messageOf(readRecords(`zsre:${bad}`))).toMatch(problem);
  });
});

const unpack = (path: string) => gunzipSync(readFileSync(path)).toString('utf8');

describe('the real files', () => {
  const real: [string, number, number][] = [
    ['train-1k.json.gz', 1000, 2],
    ['eval-519.json.gz', 519, 0],
  ];
  describe.each(real)('%s', (name, rows, bad) => {
    const path = sharedPath('data/zsre', name);

    test.skipIf(isAbsent(path))(`${rows} rows, of which ${bad} have no new answer`, async () => {
      const list = JSON.parse(unpack(path)) as Record<string, string>[];
      expect(list).toHaveLength(rows);
      const usable = list.filter(({ alt }) => alt !== '');
      expect(usable).toHaveLength(rows - bad);
      const records = await readRecords(`zsre${bad > 0 ? '!' : ''}:${path}`);
      expect(
        records.map(({ edit, rephrasings: [rephrasing], unrelated: [unrelated] }) => [
          edit.prompt,
          edit.answer,
          rephrasing!.prompt,
          rephrasing!.answer,
          unrelated!.prompt,
          unrelated!.answer,
        ]),
      ).toEqual(usable.map(({ src, alt, rephrase, loc, loc_ans }) => [src, alt, rephrase, alt, `${loc}?`, loc_ans]));
      if (bad > 0) expect(await messageOf(readRecords(`zsre:${path}`))).toMatch(`${bad} problems`);
    });
  });

  const questions = sharedPath('data/zsre/question-target-10k.tsv.gz');

  test.skipIf(isAbsent(questions))('question-target-10k.tsv.gz: every line with a target', async () => {
    const lines = unpack(questions).trimEnd().split('\n');
    const withTarget = lines.filter((line) => /\t\s*\S/.test(line));
    expect(lines).toHaveLength(10_000);
    const records = await readRecords(`zsre!:${questions}`);
    expect(records.map(({ edit }) => edit.prompt)).toEqual(withTarget.map((line) => line.split('\t')[0]!.trim()));
    expect(await messageOf(readRecords(`zsre:${questions}`))).toMatch(`${lines.length - withTarget.length} problems`);
  });
});
