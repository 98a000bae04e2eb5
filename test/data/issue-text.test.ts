// What is wrong with a value, in words: which names are taken for each other, and which are not.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { describeIssues } from '../../src/data/issue-text.js';
import { fieldsAt } from '../../src/data/schema-fields.js';
import { nearest } from '../../src/util/nearest.js';

describe('nearest', () => {
  const fields = ['prompt', 'answer', 'rephrasings', 'was', 'id'];

  test.each([
    ['promt', 'prompt'],
    ['Prompt', 'prompt'],
    ['rephrasing', 'rephrasings'],
    ['re-phrasings', 'rephrasings'],
    ['wass', 'was'],
    ['to', undefined],
    ['src', undefined],
    ['', undefined],
    ['question', undefined],
  ])('%j means %j', (typed, meant) => {
    expect(nearest(typed, fields)).toBe(meant);
  });

  test('a name that is known means itself; one wrong letter in a long one does not matter', () => {
    const name = fc.stringMatching(/^[a-z]{4,12}$/);
    fc.assert(
      fc.property(name, fc.nat(3), fc.array(name, { maxLength: 4 }), (known, at, others) => {
        expect(nearest(known, [...others, known])).toBe(known);
        const typed = `${known.slice(0, at)}1${known.slice(at + 1)}`;
        expect(nearest(typed, [known])).toBe(known);
      }),
    );
  });
});

describe('fieldsAt', () => {
  const inner = z.object({ prompt: z.string(), answer: z.string() });
  const schema = z
    .strictObject({ edit: inner, others: z.array(inner).default([]), was: z.string().optional() })
    .transform((value) => value);

  test.each<[PropertyKey[], string[]]>([
    [[], ['edit', 'others', 'was']],
    [['edit'], ['prompt', 'answer']],
    [
      ['others', 3],
      ['prompt', 'answer'],
    ],
    [['others'], []],
    [['was'], []],
    [['nothing', 'there'], []],
  ])('%j', (path, fields) => {
    expect(fieldsAt(schema, path)).toEqual(fields);
  });
});

test('a field that is known and right is not taken for one that is missing', () => {
  const schema = z.object({ target_true: z.string(), target_new: z.string() });
  const sentences = (value: unknown) => describeIssues(schema.safeParse(value).error!.issues, value, schema);
  expect(sentences({ target_true: 'x' })).toEqual(['target_new: expected text, got nothing']);
  expect(sentences({ target_true: 'x', target_news: 'y' })).toEqual([
    "target_new: expected text, got nothing; there is 'target_news', is it misspelt?",
  ]);
});
