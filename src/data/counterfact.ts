// CounterFact (Meng et al. 2022), in the original nested layout and in the flat one of later collections.

import { type FieldReader, readJsonArray } from './json-array.js';
import type { EditRecord } from './record.js';

export function readCounterfact(path: string, leaveOut = false): Promise<EditRecord[]> {
  return readJsonArray(path, leaveOut, (fields, index) => {
    const id = `counterfact-${fields.label('case_id', String(index + 1))}`;
    return fields.has('requested_rewrite') ? nestedRecord(fields, id) : flatRecord(fields, id);
  });
}

function nestedRecord(fields: FieldReader, id: string): EditRecord {
  const rewrite = fields.object('requested_rewrite');
  const subject = rewrite.text('subject');
  const answer = rewrite.object('target_new').text('str');
  const was = rewrite.object('target_true').text('str');
  return {
    id,
    subject,
    relation: rewrite.label('relation_id', 'unknown'),
    was,
    edit: { prompt: rewrite.text('prompt').replace('{}', subject), answer },
    rephrasings: fields.texts('paraphrase_prompts').map((prompt) => ({ prompt, answer })),
    unrelated: fields.texts('neighborhood_prompts').map((prompt) => ({ prompt, answer: was })),
  };
}

function flatRecord(fields: FieldReader, id: string): EditRecord {
  const answer = fields.text('target_new');
  return {
    id,
    subject: fields.text('subject'),
    was: fields.text('ground_truth'),
    edit: { prompt: fields.text('prompt'), answer },
    rephrasings: [{ prompt: fields.text('rephrase_prompt'), answer }],
    unrelated: [{ prompt: fields.text('locality_prompt'), answer: fields.text('locality_ground_truth') }],
  };
}
