// What must hold between the records of a file: ids are unique, because every report is per fact.

import type { Problems } from './problems.js';
import type { EditRecord } from './record.js';

/** A record and where it stands, for messages. */
export interface PlacedRecord {
  /** `:3` for a line, `: record 17` for an element of a list. */
  readonly where: string;
  readonly record: EditRecord;
}

/** The records with an id of their own; each further one with the same id is a problem. */
export function withUniqueIds(placed: readonly PlacedRecord[], problems: Problems): EditRecord[] {
  const first = new Map<string, string>();
  return placed.flatMap(({ where, record }) => {
    const other = first.get(record.id);
    if (other === undefined) {
      first.set(record.id, where);
      return [record];
    }
    problems.add(where, `id: '${record.id}' is taken already (${other.replace(/^: ?/, '')}); ids must be unique`);
    return [];
  });
}
