// Our own records, one JSON object a line; see `schema/record.schema.json`.

import { readJsonLines } from './json-rows.js';
import type { PlacedRecord, RecordSource } from './record-reader.js';
import { recordSchema } from './record-schema.js';

/** Reads line by line: a file may be larger than memory. */
export async function* readJsonl(source: RecordSource): AsyncGenerator<PlacedRecord> {
  for await (const { where, row } of readJsonLines(source, () => recordSchema)) yield { where, record: row };
}
