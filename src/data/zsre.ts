// zsRE (Levy et al. 2017) with the keys that MEND gave it, or as plain questions and targets.

import { readJsonArray } from './json-array.js';
import { readLines } from './json-lines.js';
import { Problems } from './problems.js';
import type { EditRecord } from './record.js';

/** `.tsv` and `.tsv.gz`: question and target; anything else: a JSON list. */
export async function readZsre(path: string, leaveOut = false): Promise<EditRecord[]> {
  return /\.tsv(\.gz)?$/.test(path) ? readQuestions(path, leaveOut) : readMendKeys(path, leaveOut);
}

/** src becomes alt; rephrase is another wording; loc, asked with a question mark as published, must stay loc_ans. */
function readMendKeys(path: string, leaveOut: boolean): Promise<EditRecord[]> {
  return readJsonArray(path, leaveOut, (fields, index) => {
    const answer = fields.text('alt');
    const was = fields.has('answers') ? fields.texts('answers')[0] : undefined;
    return {
      id: fields.label('id', `zsre-${index + 1}`),
      subject: fields.text('subject'),
      edit: { prompt: fields.text('src'), answer },
      rephrasings: [{ prompt: fields.text('rephrase'), answer }],
      unrelated: [{ prompt: `${fields.text('loc')}?`, answer: fields.text('loc_ans') }],
      ...(was === undefined ? {} : { was }),
    };
  });
}

/** Questions that occur again with another target are left to their first one. */
async function readQuestions(path: string, leaveOut: boolean): Promise<EditRecord[]> {
  const problems = new Problems(path, leaveOut);
  const records = new Map<string, EditRecord>();
  for await (const { line, text } of readLines(path)) {
    const [prompt = '', answer = ''] = text.split('\t').map((cell) => cell.trim());
    if (line === 1 && prompt.toLowerCase() === 'question') continue;
    if (prompt === '' || answer === '')
      problems.add(`:${line}`, 'expected a question and a target, with a tab between');
    else if (!records.has(prompt))
      records.set(prompt, { id: `zsre-${line}`, edit: { prompt, answer }, rephrasings: [], unrelated: [] });
  }
  problems.throwIfAny();
  return [...records.values()];
}
