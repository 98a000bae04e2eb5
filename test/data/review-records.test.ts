// What check says of records without a model, against small files whose every fault is known, and against any records whose
// faults are counted by plain loops.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EditRecord } from '../../src/data/record.js';
import { reviewRecords } from '../../src/data/review-records.js';
import { readPlacedRecords } from '../../src/data/spec.js';
import { messageOf, temporaryFiles } from './temporary-files.js';

const write = temporaryFiles();

const asking = (prompt: string, answer: string) => ({ prompt, answer });
function record(id: string, prompt: string, answer: string, more: Partial<EditRecord> = {}): EditRecord {
  return { id, edit: asking(prompt, answer), rephrasings: [], unrelated: [], ...more };
}
const placed = (records: readonly EditRecord[]) =>
  records.map((one, at) => ({ where: `dir/f.csv:${at + 2}`, record: one }));
const review = (...records: EditRecord[]) => reviewRecords(placed(records));
const said = (...records: EditRecord[]) => review(...records).map(({ id, kind }) => [id, kind]);

describe('each kind', () => {
  test('nothing is said of facts that are fine', () => {
    const rephrasings = [asking('r', 'x')];
    expect(
      review(record('1', 'a', 'x', { rephrasings, unrelated: [asking('u', 'y')] }), record('2', 'b', 'x')),
    ).toEqual([]);
  });

  test('one prompt, two answers: both records are named', () => {
    expect(review(record('1', 'a', 'x'), record('2', ' a ', 'y'))).toEqual([
      {
        kind: 'contradiction',
        where: 'dir/f.csv:2',
        id: '1',
        text: "the prompt 'a' is to be answered 'x' here and 'y' by the prompt of f.csv:3; keep one",
      },
      {
        kind: 'contradiction',
        where: 'dir/f.csv:3',
        id: '2',
        text: "the prompt 'a' is to be answered 'y' here and 'x' by the prompt of f.csv:2; keep one",
      },
    ]);
  });

  test('a rephrasing that another record answers otherwise', () => {
    const first = record('1', 'a', 'x', { rephrasings: [asking('b', 'x')] });
    expect(said(first, record('2', 'b', 'y'))).toEqual([
      ['1', 'contradiction'],
      ['2', 'contradiction'],
    ]);
    expect(said(first, record('2', 'c', 'y', { rephrasings: [asking('b', 'y')] }))).toEqual([
      ['1', 'contradiction'],
      ['2', 'contradiction'],
    ]);
    expect(said(first, record('2', 'b', 'x'))).toEqual([]);
  });

  test('a rephrasing with another answer than the edit it repeats', () => {
    const [one] = review(record('1', 'a', 'x', { rephrasings: [asking('a', 'y')] }));
    expect(one!.text).toContain('by its own other prompt');
  });

  test('the rest', () => {
    expect(said(record('1', 'a', 'x'), record('1', 'b', 'x'))).toEqual([['1', 'repeated id']]);
    expect(said(record('1', 'a', 'x'), record('2', 'a', 'x'))).toEqual([['2', 'same fact twice']]);
    expect(said(record('1', 'a  b', 'x', { rephrasings: [asking('a b', 'x')] }))).toEqual([['1', 'no rephrasing']]);
    expect(said(record('1', 'a', 'x', { unrelated: [asking('b', 'z')] }), record('2', 'b', 'y'))).toEqual([
      ['1', 'edited elsewhere'],
    ]);
    expect(said(record('1', 'a', 'x', { unrelated: [asking('a', 'z')] }))).toEqual([['1', 'edited elsewhere']]);
    expect(said(record('1', 'a', 'x', { was: 'x ' }))).toEqual([['1', 'no change']]);
  });

  test('of other wordings: a contradiction as of prompts, and what they take from GS', () => {
    const told = record('1', 'a', 'x', { wordings: ['b', 'c'] });
    expect(said(told, record('2', 'd', 'x'))).toEqual([]);
    expect(said(told, record('2', 'c', 'y'))).toEqual([
      ['1', 'contradiction'],
      ['2', 'contradiction'],
    ]);
    const [learnt] = review({ ...told, rephrasings: [asking('c ', 'x')] });
    expect(learnt).toMatchObject({ kind: 'no rephrasing', text: expect.stringContaining('one of the wordings') });
  });
});

const word = fc.constantFrom('a', 'b', 'c', 'd');
const example = fc.record({ prompt: word, answer: fc.constantFrom('x', 'y') });
const anyRecord = fc.record({
  id: word,
  edit: example,
  rephrasings: fc.array(example, { maxLength: 2 }),
  unrelated: fc.array(example, { maxLength: 2 }),
});

test('any records: what plain loops find', () => {
  fc.assert(
    fc.property(fc.array(anyRecord, { maxLength: 5 }), (records) => {
      const asked = records.flatMap(({ edit, rephrasings }) => [edit, ...rephrasings]);
      const expected = records.flatMap(({ id, edit, rephrasings, unrelated }, at) => [
        ...(records.findIndex((one) => one.id === id) < at ? ['repeated id'] : []),
        ...[edit, ...rephrasings]
          .filter(({ prompt, answer }) => asked.some((one) => one.prompt === prompt && one.answer !== answer))
          .map(() => 'contradiction'),
        ...unrelated.filter(({ prompt }) => asked.some((one) => one.prompt === prompt)).map(() => 'edited elsewhere'),
        ...rephrasings.filter(({ prompt }) => prompt === edit.prompt).map(() => 'no rephrasing'),
        ...(records.findIndex((one) => one.edit.prompt === edit.prompt && one.edit.answer === edit.answer) < at
          ? ['same fact twice']
          : []),
      ]);
      expect(
        review(...records)
          .map(({ kind }) => kind as string)
          .toSorted(),
      ).toEqual(expected.toSorted());
    }),
    { numRuns: 500 },
  );
});

test('reading for a review keeps what contradicts, and what cannot be read beside it', async () => {
  const path = write('f.csv', 'prompt,answer\na,x\na,y\nb,\n');
  const { records, problems } = await readPlacedRecords(path);
  expect(records.map(({ where, record: { edit } }) => [where, edit.answer])).toEqual([
    [`${path}:2`, 'x'],
    [`${path}:3`, 'y'],
  ]);
  expect(problems).toEqual([
    { where: `${path}:4`, problem: 'answer (column B): is empty; every fact needs a prompt and an answer' },
  ]);
  expect(await messageOf(readPlacedRecords(write('f.csv', 'prompt,answer\n')))).toContain('holds no record');
});
