// Our own layout of a record, strict: an unknown field is a typing mistake.
// `schema/record.schema.json` is generated from it; knows nothing of files.

import { z } from 'zod';
import type { EditRecord } from './record.js';

/** A string with something besides white space in it. */
export const text = z.string().regex(/\S/, { error: 'expected text' });

/** A string or number that tells records apart. */
export const label = z.union([text, z.number()], { error: 'expected text or a number' });

const exampleSchema = z.strictObject({
  prompt: text.describe('the beginning of a sentence, or a question'),
  answer: text.describe('what must follow'),
});

const unrelatedSchema = exampleSchema.extend({
  wordings: z
    .exactOptional(z.array(text))
    .describe('other prompts with the same answer, which fit teaches too; they are not asked'),
});

export const recordSchema = z
  .strictObject({
    id: text.describe('unique in the file; reports use it'),
    edit: exampleSchema.describe('the fact to edit in, with its new answer'),
    wordings: z
      .exactOptional(z.array(text))
      .describe('other prompts of the fact, which an edit of several rounds learns from in turn; they are not scored'),
    rephrasings: z
      .array(exampleSchema)
      .default([])
      .describe('the same fact in words that the edit does not see: what GS is measured on'),
    unrelated: z.array(unrelatedSchema).default([]).describe('facts that must not change, with their true answers'),
    subject: z.exactOptional(text).describe('what the fact is about'),
    relation: z.exactOptional(text).describe('kind of fact; facts of one kind have answers of one kind'),
    was: z.exactOptional(text).describe('the answer that is true before the edit'),
  })
  .describe('One fact to edit: a line of a JSON Lines file') satisfies z.ZodType<EditRecord>;
