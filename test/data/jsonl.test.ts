// Our own layout: whatever is valid comes back as it was, whatever is not is named with its line and field.

import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EditRecord } from '../../src/data/record.js';
import { readRecords } from '../../src/data/spec.js';
import { isAbsent, sharedPath } from './stored-data.js';
import { fixturePath, jsonLines, messageOf, temporaryFiles } from './temporary-files.js';

const write = temporaryFiles();

const text = fc.string({ unit: 'binary', minLength: 1 }).filter((value) => value.trim() !== '');
const example = fc.record({ prompt: text, answer: text });
const anyRecord: fc.Arbitrary<Omit<EditRecord, 'id'>> = fc.record(
  {
    edit: example,
    rephrasings: fc.array(example, { maxLength: 3 }),
    unrelated: fc.array(example, { maxLength: 3 }),
    subject: text,
    relation: text,
    was: text,
  },
  { requiredKeys: ['edit', 'rephrasings', 'unrelated'] },
);
/** Records that can stand in one file: ids and edit prompts differ. */
const anyFile = fc.array(anyRecord, { minLength: 1, maxLength: 8 }).map((records) =>
  records.map((record, at): EditRecord => {
    const edit = { ...record.edit, prompt: `${at}: ${record.edit.prompt}` };
    return { id: `id ${at}`, ...record, edit };
  }),
);

describe('what is valid', () => {
  test('any records come back as they were, packed or not', async () => {
    await fc.assert(
      fc.asyncProperty(anyFile, fc.boolean(), async (records, isPacked) => {
        const content = jsonLines(records);
        const path = isPacked ? write('a.jsonl.gz', gzipSync(content)) : write('a.jsonl', content);
        expect(await readRecords(`jsonl:${path}`)).toEqual(records);
      }),
      { numRuns: 60 },
    );
  });

  test('the made-up file; lists may be left out', async () => {
    const records = await readRecords(`jsonl:${fixturePath('records.jsonl')}`);
    expect(records.map(({ id }) => id)).toEqual([
      'capital:Arvedia',
      'capital:Hult',
      'author:Grey Reeds',
      'river:Sael',
      '5',
    ]);
    expect(records[0]).toEqual({
      id: 'capital:Arvedia',
      edit: { prompt: 'The capital of Arvedia is', answer: 'Tolm' },
      rephrasings: [{ prompt: 'Arvedia is governed from', answer: 'Tolm' }],
      unrelated: [{ prompt: 'The capital of Besk is', answer: 'Orlin' }],
      subject: 'Arvedia',
      relation: 'capital',
      was: 'Quen',
    });
    expect(records[1]).toEqual({
      id: 'capital:Hult',
      edit: { prompt: 'The capital of Hult is', answer: 'Quen' },
      rephrasings: [],
      unrelated: [],
      was: 'Tolm',
    });
  });
});

const edit = { prompt: 'The capital of Hult is', answer: 'Quen' };
const good = { id: '1', edit };

describe('what is not', () => {
  const cases: [string, unknown, string][] = [
    ['no id', { edit }, 'id: expected text, got nothing'],
    ['no edit', { id: '1' }, 'edit: expected an object, got nothing'],
    ['an id that is a number', { ...good, id: 17 }, 'id: expected text, got 17'],
    ['an empty id', { ...good, id: '' }, 'id: expected text, got ""'],
    ['an empty prompt', { id: '1', edit: { ...edit, prompt: ' \n' } }, 'edit.prompt: expected text, got " \\n"'],
    ['an empty answer', { id: '1', edit: { ...edit, answer: '' } }, 'edit.answer: expected text, got ""'],
    ['an answer that is null', { id: '1', edit: { ...edit, answer: null } }, 'edit.answer: expected text, got null'],
    ['an edit that is text', { id: '1', edit: 'Quen' }, 'edit: expected an object, got "Quen"'],
    [
      'no list',
      { ...good, rephrasings: edit },
      'rephrasings: expected a list, got {"prompt":"The capital of Hult is","answ...',
    ],
    ['text in a list', { ...good, unrelated: [edit, 'x'] }, 'unrelated.1: expected an object, got "x"'],
    [
      'deep inside',
      { ...good, rephrasings: [edit, { ...edit, answer: 5 }] },
      'rephrasings.1.answer: expected text, got 5',
    ],
    [
      'a rephrasing that the edit learns from',
      {
        id: '2',
        edit: { prompt: 'c', answer: 'x' },
        wordings: ['a', 'b'],
        rephrasings: [edit, { prompt: 'b ', answer: 'x' }],
      },
      "rephrasings.1: 'b' is one of the wordings, which the edit learns from: GS would measure nothing new; keep one of them",
    ],
    [
      'an example for a wording',
      { ...good, wordings: [edit] },
      'wordings.0: expected text, got {"prompt":"The capital of Hult is","answ...',
    ],
    ['an empty old answer', { ...good, was: '' }, 'was: expected text, got ""'],
    ['a list for a record', [good], 'expected an object, got [{"id":"1","edit":{"prompt":"The capital...'],
    ['null', null, 'expected an object, got null'],
    ['a misspelt list', { ...good, rephrasing: [] }, "unknown field 'rephrasing'; did you mean 'rephrasings'?"],
    ['another case', { ...good, Subject: 'x' }, "unknown field 'Subject'; did you mean 'subject'?"],
    [
      'a misspelt field of an example',
      { ...good, unrelated: [{ ...edit, anwser: 'x' }] },
      "unrelated.0: unknown field 'anwser'; did you mean 'answer'?",
    ],
    [
      'a field that is like none',
      { ...good, confidence: 1 },
      "unknown field 'confidence'; the known ones are id, edit, wordings, rephrasings, unrelated, subject, relation, was",
    ],
  ];

  test.each(cases)('%s', async (_, row, problem) => {
    const path = write('a.jsonl', jsonLines([good, row]));
    const message = await messageOf(readRecords(`jsonl:${path}`));
    expect(message.split('\n')).toEqual([
      `bad-input: ${path}:2: ${problem}`,
      expect.stringMatching(/^mend the file, or/),
    ]);
  });

  test('not JSON', async () => {
    const path = write('a.jsonl', `${jsonLines([good])}\n{"id": "2", "edit"\n`);
    expect(await messageOf(readRecords(`jsonl:${path}`))).toMatch(`bad-input: ${path}:3: not JSON: `);
  });

  test('several things in one record, several records: all of them', async () => {
    const path = write('a.jsonl', jsonLines([{ id: 5, edit: { prompt: '' } }, good, { ...good, id: '', was: 3 }]));
    expect((await messageOf(readRecords(`jsonl:${path}`))).split('\n')).toEqual([
      'bad-input: 5 problems',
      `${path}:1: id: expected text, got 5`,
      `${path}:1: edit.prompt: expected text, got ""`,
      `${path}:1: edit.answer: expected text, got nothing`,
      `${path}:3: id: expected text, got ""`,
      `${path}:3: was: expected text, got 3`,
      expect.any(String),
    ]);
  });

  test('a misspelt field is one that is missing, too: both are said', async () => {
    const path = write('a.jsonl', jsonLines([{ id: '1', edit: { promt: 'x', answer: 'y' } }]));
    expect((await messageOf(readRecords(`jsonl:${path}`))).split('\n')).toEqual([
      'bad-input: 2 problems',
      `${path}:1: edit.prompt: expected text, got nothing; there is 'promt', is it misspelt?`,
      `${path}:1: edit: unknown field 'promt'; did you mean 'prompt'?`,
      expect.any(String),
    ]);
  });

  test('more than fifty: fifty and how many more', async () => {
    const path = write('a.jsonl', 'x\n'.repeat(73));
    const lines = (await messageOf(readRecords(`jsonl:${path}`))).split('\n');
    expect(lines[0]).toBe('bad-input: 73 problems');
    expect(lines[50]).toMatch(`${path}:50: `);
    expect(lines.slice(51)).toEqual(['... and 23 more', expect.any(String)]);
  });
});

describe.each([
  ['train', 3999, 'The language of The Decameron is'],
  ['eval', 4000, undefined],
])('the reference records: %s', (name, count, contradicted) => {
  const path = sharedPath(`reference/records-${name}.jsonl.gz`);

  test.skipIf(isAbsent(path))('are read; a prompt that is edited twice is found', async () => {
    const records = await readRecords(`jsonl!:${path}`);
    expect(records).toHaveLength(count);
    expect(records.every(({ was, unrelated }) => was !== undefined && unrelated.length === 1)).toBe(true);
    if (contradicted === undefined) expect(await readRecords(`jsonl:${path}`)).toEqual(records);
    else expect(await messageOf(readRecords(`jsonl:${path}`))).toMatch(`edit.answer: '${contradicted}' is edited to`);
  });
});
