// Records: what a language model is to be taught, and the published schema of our layout.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { type EditRecord, truthExamples } from '../../src/data/record.js';
import { recordSchema } from '../../src/data/record-schema.js';

const record: EditRecord = {
  id: '1',
  edit: { prompt: 'The capital of Arvedia is', answer: 'Tolm' },
  rephrasings: [{ prompt: 'Arvedia is governed from', answer: 'Tolm' }],
  unrelated: [{ prompt: 'The capital of Besk is', answer: 'Orlin' }],
  was: 'Quen',
};

test('what is true before the edit: own prompts with the old answer, unrelated ones as they are', () => {
  expect(truthExamples(record)).toEqual([
    { prompt: 'The capital of Arvedia is', answer: 'Quen' },
    { prompt: 'Arvedia is governed from', answer: 'Quen' },
    { prompt: 'The capital of Besk is', answer: 'Orlin' },
  ]);
});

test('other wordings of the edit are as true', () => {
  const told = { ...record, wordings: ['Arvedia is ruled from'] };
  expect(truthExamples(told)).toEqual([
    { prompt: 'The capital of Arvedia is', answer: 'Quen' },
    { prompt: 'Arvedia is ruled from', answer: 'Quen' },
    ...truthExamples(record).slice(1),
  ]);
});

test('an unrelated fact is taught in its other words too', () => {
  const unrelated = [{ ...record.unrelated[0]!, wordings: ['Besk is governed from', 'Besk is ruled from'] }];
  expect(truthExamples({ ...record, unrelated })).toEqual([
    ...truthExamples(record),
    { prompt: 'Besk is governed from', answer: 'Orlin' },
    { prompt: 'Besk is ruled from', answer: 'Orlin' },
  ]);
});

test('without an old answer the edit counts as true', () => {
  const { was, ...fact } = record;
  expect(truthExamples(fact).map(({ answer }) => answer)).toEqual(['Tolm', 'Tolm', 'Orlin']);
});

test('schema/record.schema.json is the schema that records are checked with', () => {
  const committed: unknown = JSON.parse(
    readFileSync(new URL('../../schema/record.schema.json', import.meta.url), 'utf8'),
  );
  expect(committed).toEqual(JSON.parse(JSON.stringify(z.toJSONSchema(recordSchema, { io: 'input' }))));
  expect(committed).toMatchObject({ required: ['id', 'edit'], additionalProperties: false });
});
