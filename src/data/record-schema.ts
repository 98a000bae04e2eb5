// Our own layout of a record, strict: an unknown field is a typing mistake.

import { z } from 'zod';

const text = z.string().refine((value) => value.trim() !== '', { error: 'must not be empty' });

const exampleSchema = z.strictObject({
  prompt: text.describe('the beginning of a sentence, or a question'),
  answer: text.describe('what must follow'),
});

export const recordSchema = z
  .strictObject({
    id: text.describe('unique in the file; reports use it'),
    edit: exampleSchema.describe('the fact to edit in, with its new answer'),
    rephrasings: z.array(exampleSchema).default([]).describe('the same fact in other words'),
    unrelated: z.array(exampleSchema).default([]).describe('facts that must not change, with their true answers'),
    subject: text.optional().describe('what the fact is about'),
    relation: text.optional().describe('kind of fact; facts of one kind have answers of one kind'),
    was: text.optional().describe('the answer that is true before the edit'),
  })
  .describe('One fact to edit: a line of a JSON Lines file');
