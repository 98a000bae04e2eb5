// Our own records, one JSON object a line; see `schema/record.schema.json`.

import { type PlacedRecord, withUniqueIds } from './check-records.js';
import { describeIssue } from './issue-text.js';
import { readLines } from './json-lines.js';
import { Problems } from './problems.js';
import type { EditRecord } from './record.js';
import { recordSchema } from './record-schema.js';

/** @throws MalmenError that lists every bad line */
export async function readJsonlRecords(path: string, leaveOut = false): Promise<EditRecord[]> {
  const problems = new Problems(path, leaveOut);
  const placed: PlacedRecord[] = [];
  for await (const { line, text } of readLines(path)) {
    const record = parseRecord(text, `:${line}`, problems);
    if (record) placed.push({ where: `:${line}`, record });
  }
  const records = withUniqueIds(placed, problems);
  problems.throwIfAny();
  return records;
}

function parseRecord(text: string, where: string, problems: Problems): EditRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    problems.add(where, `not JSON: ${(error as Error).message}`);
    return undefined;
  }
  const parsed = recordSchema.safeParse(value);
  if (parsed.success) return parsed.data as EditRecord;
  for (const issue of parsed.error.issues) problems.add(where, describeIssue(issue));
  return undefined;
}
