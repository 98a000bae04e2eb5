// `kind:path#slice`: which records, from where. One table of kinds; a new data set is one reader and one line.

import { MalmenError } from '../errors.js';
import { readCounterfact } from './counterfact.js';
import { readJsonlRecords } from './jsonl.js';
import { pararelCorpus } from './pararel.js';
import type { EditRecord } from './record.js';
import { readZsre } from './zsre.js';

/** @param leaveOut bad records are left out instead of refused */
type Reader = (path: string, leaveOut: boolean) => Promise<readonly EditRecord[]>;

const readers: Readonly<Record<string, Reader>> = {
  zsre: readZsre,
  counterfact: readCounterfact,
  jsonl: readJsonlRecords,
  pararel: async (path) => (await pararelCorpus(path)).records,
};

export interface Spec {
  readonly kind: string;
  readonly path: string;
  /** `KIND!:PATH`: records that are not right are left out. */
  readonly leaveOut: boolean;
  readonly slice: { readonly start: number; readonly end: number };
}

/** @throws MalmenError that lists the kinds and the forms of a slice. */
export function parseSpec(text: string): Spec {
  const kinds = Object.keys(readers).join(', ');
  const match = /^([a-z]+)(!?):(.+?)(?:#([^#]*))?$/.exec(text);
  if (!match || !readers[match[1]!]) {
    throw new MalmenError('bad-input', `'${text}': expected KIND:PATH or KIND:PATH#SLICE with KIND one of ${kinds}`);
  }
  return { kind: match[1]!, leaveOut: match[2] === '!', path: match[3]!, slice: parseSlice(match[4], text) };
}

function parseSlice(slice: string | undefined, text: string): Spec['slice'] {
  if (slice === undefined) return { start: 0, end: Number.POSITIVE_INFINITY };
  const match = /^(?:(\d*):(\d*)|(\d+))$/.exec(slice);
  if (!match) throw new MalmenError('bad-input', `'${text}': the slice must be a:b, a:, :b or n, got '${slice}'`);
  const [, start, end, count] = match;
  if (count !== undefined) return { start: 0, end: Number(count) };
  return { start: Number(start || 0), end: end ? Number(end) : Number.POSITIVE_INFINITY };
}

/** @throws MalmenError for a missing file, bad records (all of them listed) or a slice that holds none. */
export async function readRecords(text: string): Promise<readonly EditRecord[]> {
  const { kind, path, leaveOut, slice } = parseSpec(text);
  const all = await readers[kind]!(path, leaveOut);
  const records = all.slice(slice.start, slice.end);
  if (records.length === 0)
    throw new MalmenError('bad-input', `'${text}': the slice holds no record; there are ${all.length}`);
  return records;
}
