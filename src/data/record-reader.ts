// What every reader of a data set is: a file or folder in, records out one by one, problems beside them.

import type { Problems } from './problems.js';
import type { EditRecord } from './record.js';

export interface RecordSource {
  readonly path: string;
  /** What is wrong with single records goes here, and the reader goes on with the next. */
  readonly problems: Problems;
  readonly signal: AbortSignal | undefined;
}

/** A record and where it stands, for messages. */
export interface PlacedRecord {
  /** `facts.jsonl:3` for a line, `facts.json: record 17` for an element of a list. */
  readonly where: string;
  readonly record: EditRecord;
}

/** @throws MalmenError where the file as a whole cannot be read: missing, damaged, empty, of another layout */
export type RecordReader = (source: RecordSource) => AsyncIterable<PlacedRecord>;
