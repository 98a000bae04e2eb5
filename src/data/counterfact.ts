// CounterFact (Meng et al. 2022), in the original nested layout and in the flat one of later collections.

import { z } from 'zod';
import { readJsonList } from './json-rows.js';
import type { EditRecord } from './record.js';
import type { PlacedRecord, RecordSource } from './record-reader.js';
import { label, text } from './record-schema.js';

const object = z.object({ str: text });

const nestedSchema = z.object({
  case_id: label.optional(),
  requested_rewrite: z.object({
    prompt: text.refine((prompt) => prompt.includes('{}'), { error: "expected '{}' where the subject belongs" }),
    subject: text,
    relation_id: text.optional(),
    target_new: object,
    target_true: object,
  }),
  paraphrase_prompts: z.array(text),
  neighborhood_prompts: z.array(text),
});

const flatSchema = z.object({
  case_id: label.optional(),
  prompt: text,
  subject: text,
  target_new: text,
  ground_truth: text,
  rephrase_prompt: text,
  locality_prompt: text,
  locality_ground_truth: text,
});

type NestedRow = z.infer<typeof nestedSchema>;
type FlatRow = z.infer<typeof flatSchema>;

export async function* readCounterfact(source: RecordSource): AsyncGenerator<PlacedRecord> {
  for await (const { where, number, row } of readJsonList<NestedRow | FlatRow>(source, schemaOf)) {
    const id = `counterfact-${row.case_id ?? number}`;
    yield { where, record: 'requested_rewrite' in row ? nestedRecord(row, id) : flatRecord(row, id) };
  }
}

function schemaOf(element: unknown): z.ZodType<NestedRow | FlatRow> {
  const isNested = typeof element === 'object' && element !== null && 'requested_rewrite' in element;
  return isNested ? nestedSchema : flatSchema;
}

/** Neighbours of the subject have the same true answer, and keep it. */
function nestedRecord(row: NestedRow, id: string): EditRecord {
  const { prompt, subject, relation_id: relation, target_new, target_true } = row.requested_rewrite;
  const answer = target_new.str;
  const was = target_true.str;
  return {
    id,
    subject,
    ...(relation === undefined ? {} : { relation }),
    was,
    edit: { prompt: prompt.replaceAll('{}', () => subject), answer },
    rephrasings: row.paraphrase_prompts.map((paraphrase) => ({ prompt: paraphrase, answer })),
    unrelated: row.neighborhood_prompts.map((neighbor) => ({ prompt: neighbor, answer: was })),
  };
}

function flatRecord(row: FlatRow, id: string): EditRecord {
  const answer = row.target_new;
  return {
    id,
    subject: row.subject,
    was: row.ground_truth,
    edit: { prompt: row.prompt, answer },
    rephrasings: [{ prompt: row.rephrase_prompt, answer }],
    unrelated: [{ prompt: row.locality_prompt, answer: row.locality_ground_truth }],
  };
}
