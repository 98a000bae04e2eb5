// zsRE (Levy et al. 2017) with the keys that MEND gave it, or as plain questions and targets.

import { z } from 'zod';
import { readJsonList } from './json-rows.js';
import type { EditRecord } from './record.js';
import type { PlacedRecord, RecordReader, RecordSource } from './record-reader.js';
import { label, text } from './record-schema.js';
import { readLines } from './text-file.js';

/** The keys in use; later collections add others (portability, cond), which are not read. */
const mendSchema = z.object({
  id: label.optional(),
  subject: text,
  src: text,
  rephrase: text,
  alt: text,
  answers: z.array(text).default([]),
  loc: text,
  loc_ans: text,
});

/** `.tsv` and `.tsv.gz`: question and target; anything else: a JSON list. */
export const readZsre: RecordReader = (source) =>
  /\.tsv(\.gz)?$/.test(source.path) ? readQuestions(source) : readMendKeys(source);

async function* readMendKeys(source: RecordSource): AsyncGenerator<PlacedRecord> {
  for await (const { where, number, row } of readJsonList(source, () => mendSchema))
    yield { where, record: mendRecord(row, number) };
}

/** src becomes alt; rephrase is another wording; loc, asked with a question mark as published, must stay loc_ans. */
function mendRecord(row: z.infer<typeof mendSchema>, number: number): EditRecord {
  const [was] = row.answers;
  return {
    id: String(row.id ?? `zsre-${number}`),
    subject: row.subject,
    edit: { prompt: row.src, answer: row.alt },
    rephrasings: [{ prompt: row.rephrase, answer: row.alt }],
    unrelated: [{ prompt: `${row.loc}?`, answer: row.loc_ans }],
    ...(was === undefined ? {} : { was }),
  };
}

/** Records without rephrasings or unrelated facts; a first line that names the columns is left out. */
async function* readQuestions({ path, problems, signal }: RecordSource): AsyncGenerator<PlacedRecord> {
  for await (const { line, text } of readLines(path, signal)) {
    const where = `${path}:${line}`;
    const [prompt, answer, ...others] = text.split('\t').map((cell) => cell.trim());
    if (line === 1 && prompt?.toLowerCase() === 'question') continue;
    if (prompt && answer && others.length === 0)
      yield { where, record: { id: `zsre-${line}`, edit: { prompt, answer }, rephrasings: [], unrelated: [] } };
    else problems.add(where, 'expected a question and a target, with one tab between');
  }
}
