// Spreadsheets of facts: whatever a spreadsheet may save comes back as it was, whatever is wrong is named with line and column.

import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readRecords } from '../../src/data/spec.js';
import { messageOf, temporaryFiles } from './temporary-files.js';

const write = temporaryFiles();
const read = (content: string | Uint8Array, name = 'facts.csv') => readRecords(write(name, content));
/** Message lines without the file's folder and the closing advice. */
async function problemsOf(content: string | Uint8Array): Promise<string[]> {
  const path = write('facts.csv', content);
  const message = await messageOf(readRecords(path));
  return message
    .split('\n')
    .flatMap((line) => (line.startsWith('mend the file') ? [] : [line.replaceAll(path, 'facts.csv')]));
}

/** As a spreadsheet quotes: only where it must. */
const quoted = (cell: string, delimiter: string) =>
  /["\r\n]/.test(cell) || cell.includes(delimiter) || /^\s|\s$/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;

const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
const delimiter = fc.constantFrom(',', ';', '\t');
const cell = fc
  .oneof(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), fc.stringMatching(/^[a-c,;\t"' \n]{1,12}$/))
  .map((text) => text.replaceAll('\r', ' '))
  .filter((text) => text.trim() !== '' && !text.trim().startsWith('#'));

describe('what is valid', () => {
  test('two columns are enough; ids come from the prompts', async () => {
    const text = 'prompt,answer\nThe capital of Hult is,Quen\n"The river of Hult, in short, is",Sael\n';
    const records = await read(text);
    expect(records).toEqual([
      {
        id: 'fact-f7f6220a7c79',
        edit: { prompt: 'The capital of Hult is', answer: 'Quen' },
        rephrasings: [],
        unrelated: [],
      },
      {
        id: expect.stringMatching(/^fact-[0-9a-f]{12}$/),
        edit: { prompt: 'The river of Hult, in short, is', answer: 'Sael' },
        rephrasings: [],
        unrelated: [],
      },
    ]);
    const elsewhere = await read(`answer,note,prompt
Quen,x,The capital of Hult is
`);
    expect(elsewhere).toEqual([records[0]]);
  });

  test('any cells, separators, line ends, byte order mark, packing: the same records', async () => {
    const row = fc.record({ prompt: cell, answer: cell, was: fc.option(cell), rephrasing: fc.option(cell) });
    const rows = fc.uniqueArray(row, { minLength: 1, maxLength: 6, selector: ({ prompt }) => prompt.trim() });
    await fc.assert(
      fc.asyncProperty(
        rows,
        delimiter,
        lineEnd,
        fc.boolean(),
        fc.boolean(),
        async (facts, between, end, mark, packed) => {
          const table = [
            ['prompt', 'answer', 'was', 'rephrasing'],
            ...facts.map(({ prompt, answer, was, rephrasing }) => [prompt, answer, was ?? '', rephrasing ?? '']),
          ];
          const lines = table.map((cells) => cells.map((text) => quoted(text, between)).join(between));
          const text = `${mark ? '\uFEFF' : ''}${lines.join(end)}${end}`;
          const records = await (packed ? read(gzipSync(text), 'facts.csv.gz') : read(text));
          expect(records.map(({ edit, was, rephrasings }) => ({ ...edit, was, rephrasings }))).toEqual(
            facts.map(({ prompt, answer, was, rephrasing }) => ({
              prompt: prompt.trim(),
              answer: answer.trim(),
              was: was?.trim(),
              rephrasings: rephrasing === null ? [] : [{ prompt: rephrasing.trim(), answer: answer.trim() }],
            })),
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  test('all columns, under the names that people give them', async () => {
    const [record] = await read(
      'ID;Question;New answer;Old_Answer;Wording;Other prompt 2;Rephrasing;rephrasing 2;REPHRASING-3;Unrelated prompt;Unrelated answer;unrelated prompt 2;unrelated answer 2;subject;Relation;Notes\n' +
        '7;Who runs Acme?;Jane Roe;John Doe;Acme obeys;Acme answers to;The head of Acme is;;Acme is run by;The capital of Peru is;Lima;Ice is;cold;Acme;chief;ask Tom\n',
    );
    const answer = 'Jane Roe';
    expect(record).toEqual({
      id: '7',
      edit: { prompt: 'Who runs Acme?', answer },
      wordings: ['Acme obeys', 'Acme answers to'],
      rephrasings: [
        { prompt: 'The head of Acme is', answer },
        { prompt: 'Acme is run by', answer },
      ],
      unrelated: [
        { prompt: 'The capital of Peru is', answer: 'Lima' },
        { prompt: 'Ice is', answer: 'cold' },
      ],
      was: 'John Doe',
      subject: 'Acme',
      relation: 'chief',
    });
  });

  test.each([
    ['a semicolon, with commas in the texts', 'prompt;answer\nIn short, it is;so, so\n', 'In short, it is', 'so, so'],
    ["Excel's own first line", 'sep=;\r\nprompt;answer\r\na;b\r\n', 'a', 'b'],
    ['comments and empty rows', '# my facts, and yours\n\n"# more"\nprompt,answer\n,\n\n# a, b\na,b\n', 'a', 'b'],
    ['a prompt with a number sign', 'prompt,answer\n#1 of 1999 was,Believe\n', '#1 of 1999 was', 'Believe'],
    ['quotes inside a text', 'prompt,answer\nThe "Iliad" is by,Homer\n', 'The "Iliad" is by', 'Homer'],
    ['columns without a name and without cells', 'prompt,answer,,\na,b,,\n', 'a', 'b'],
    ['quoted headings', '"prompt";"answer"\n"a;b";"c"\n', 'a;b', 'c'],
    ['repeated headings that may repeat', 'prompt,answer,rephrasing,rephrasing\na,b,,\n', 'a', 'b'],
  ])('%s', async (_, text, prompt, answer) => {
    expect((await read(text)).map(({ edit }) => edit)).toEqual([{ prompt, answer }]);
  });
});

describe('what is not', () => {
  test('every bad row is named with its line and column', async () => {
    const text =
      'prompt,answer,unrelated prompt,unrelated answer\n' +
      'a,b,c,d\n,b,,\na,,,\n"two\nlines",b,c,\na2,b,,d\nIn short, it is,so,\nThe capital, of Hult, is, in short,Quen\n';
    expect(await problemsOf(text)).toEqual([
      'bad-input: 6 problems',
      'facts.csv:3: prompt (column A): is empty; every fact needs a prompt and an answer',
      'facts.csv:4: answer (column B): is empty; every fact needs a prompt and an answer',
      'facts.csv:5: unrelated prompt (column C): has no answer beside it; fill in unrelated answer (column D): the true answer, which must not change',
      'facts.csv:7: unrelated answer (column D): has no prompt beside it',
      'facts.csv:8: unrelated prompt (column C): has no answer beside it; fill in unrelated answer (column D): the true answer, which must not change',
      "facts.csv:9: column E has no name but holds 'Quen'; the heading has 4 columns: put a text that holds the separator in double quotes",
    ]);
  });

  test.each([
    [
      'no heading',
      'The capital of Hult is,Quen\n',
      [
        "no column is called 'prompt'",
        "no column is called 'answer'",
        "unknown column 'The capital of Hult is' (column A)",
        "unknown column 'Quen' (column B)",
      ],
    ],
    [
      'a misspelt heading',
      'promt;answer\na;b\n',
      ["no column is called 'prompt'", "unknown column 'promt' (column A); did you mean 'prompt'?"],
    ],
    [
      'an unknown heading',
      'prompt,answer,mood\na,b,c\n',
      ["unknown column 'mood' (column C); the known ones are prompt, answer"],
    ],
    ['two answers', 'prompt,answer,target\na,b,c\n', ["several columns are the 'answer' (B, C); keep one"]],
    ['an open quote', 'prompt,answer\na,b\n"c,d\ne,f\n', ['facts.csv:3: a cell opens with " and is never closed']],
    [
      'a quote that closes early',
      'prompt,answer\n"Iliad" is by,Homer\n',
      ['facts.csv:2: text goes on after the closing "'],
    ],
    ['comments only', '# prompt,answer\n', ['holds comments only']],
    ['a heading only', 'prompt,answer\n', ['holds no record; the file has 0']],
    ['nothing', '', ['the file is empty']],
    [
      'UTF-16',
      Buffer.from('\uFEFFprompt\tanswer\na\tb\n', 'utf16le'),
      ["UTF-16, as Excel saves 'Unicode Text'; save it as 'CSV UTF-8'"],
    ],
    [
      'another code page',
      Buffer.from('prompt,answer\nZürich,b\n', 'latin1'),
      ["not text in UTF-8; convert it (a spreadsheet saves it as 'CSV UTF-8')"],
    ],
    ['a workbook', Buffer.from('PK\u0003\u0004xyz', 'latin1'), ['a workbook (.xlsx, .ods)']],
  ])('%s', async (_, text, expected) => {
    const problems = await problemsOf(text);
    expect(problems).toHaveLength(expected.length);
    for (const [at, problem] of expected.entries()) expect(problems[at]).toContain(problem);
  });

  test('the same prompt twice: with the same answer to be left out, with another a contradiction', async () => {
    expect(await problemsOf('prompt,answer\na,b\na,b\na,c\n')).toEqual([
      'bad-input: 2 problems',
      expect.stringMatching(/^facts.csv:3: the same fact as facts.csv:2; leave one of them out$/),
      "facts.csv:4: edit.answer: 'a' is edited to 'b' by facts.csv:2 and to 'c' here; it can have one answer",
    ]);
  });
});
