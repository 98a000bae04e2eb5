// `kind:path#slice`: which records, from where. One table of kinds; a new data set is one reader and one line.

import { MalmenError } from '../errors.js';
import { nearest } from '../util/nearest.js';
import { atlasFolder, readAtlas, readAtlasHeldOut } from './atlas.js';
import { readCounterfact } from './counterfact.js';
import { readCsv } from './csv.js';
import { readFever } from './fever.js';
import { readJsonl } from './jsonl.js';
import { readPararel } from './pararel.js';
import { type Problem, Problems } from './problems.js';
import type { EditRecord } from './record.js';
import { RecordChecks } from './record-checks.js';
import type { PlacedRecord, RecordReader } from './record-reader.js';
import { readZsre } from './zsre.js';

const readers = {
  zsre: readZsre,
  counterfact: readCounterfact,
  pararel: readPararel,
  fever: readFever,
  atlas: readAtlas,
  'atlas-held-out': readAtlasHeldOut,
  jsonl: readJsonl,
  csv: readCsv,
} satisfies Readonly<Record<string, RecordReader>>;

type Kind = keyof typeof readers;

/** What a kind without a path reads: the data that comes with malmen. */
const shipped: { readonly [K in Kind]?: string } = { atlas: atlasFolder, 'atlas-held-out': atlasFolder };

interface Spec {
  readonly kind: Kind;
  readonly path: string;
  /** `KIND!:PATH`: records that are not right are left out. */
  readonly leaveOut: boolean;
  /** From `start`, up to and without `end`, counted from 0 over the records that are right. */
  readonly slice: { readonly start: number; readonly end: number };
}

const kinds = Object.keys(readers).join(', ');
const isKind = (name: string): name is Kind => Object.hasOwn(readers, name);

/** Files whose name says what they hold need no kind. */
const kindByEnding: Readonly<Record<string, Kind>> = { csv: 'csv', tsv: 'csv', jsonl: 'jsonl' };

/** @throws MalmenError that lists the kinds and the forms of a slice. */
export function parseSpec(text: string): Spec {
  const [, kind = '', mark, given, slice] = /^([^:!]*)(!?):(.*?)(?:#([^#]*))?$/s.exec(text) ?? [];
  const path = isKind(kind) ? given || shipped[kind] : undefined;
  if (isKind(kind) && path) return { kind, leaveOut: mark === '!', path, slice: parseSlice(slice ?? ':', text) };
  const named = parseNamedFile(text);
  if (named === undefined) throw unknownKind(text);
  return named;
}

/** `facts.csv`, `facts.csv#100`: undefined where the name does not say the kind, or something like a kind stands before it. */
function parseNamedFile(text: string): Spec | undefined {
  // A '#' in a file's name is none of a slice when the file's ending comes after it.
  const cut = kindOfFile(text) === undefined ? text.lastIndexOf('#') : -1;
  const [path, slice] = cut < 0 ? [text, ':'] : [text.slice(0, cut), text.slice(cut + 1)];
  const kind = kindOfFile(path);
  return kind && { kind, leaveOut: false, path, slice: parseSlice(slice, text) };
}

function kindOfFile(path: string): Kind | undefined {
  const [, ending] = /[^/\\]\.(\w+)(?:\.gz)?$/.exec(path) ?? [];
  const isKnown = ending !== undefined && Object.hasOwn(kindByEnding, ending.toLowerCase());
  return isKnown && !misspeltKind.test(path) ? kindByEnding[ending.toLowerCase()] : undefined;
}

/** One letter is a drive of Windows. */
const misspeltKind = /^[^/\\.:]{2,}:|^:/;

function unknownKind(text: string): MalmenError {
  if (/\.xlsx?$/i.test(text))
    return new MalmenError('bad-input', `'${text}': a workbook of Excel; save it as 'CSV UTF-8' and give that file`);
  const near = nearest(/^([^:!]*)!?:/.exec(text)?.[1] ?? '', Object.keys(readers));
  const meant = near === undefined ? '' : `; did you mean ${near}?`;
  return new MalmenError(
    'bad-input',
    `'${text}': expected a file ending in .${Object.keys(kindByEnding).join(', .')}, or KIND:PATH with KIND one of ${kinds}, each with or without #SLICE${meant}`,
  );
}

function parseSlice(slice: string, text: string): Spec['slice'] {
  const match = /^(?:(\d*):(\d*)|(\d+))$/.exec(slice);
  if (!match) {
    const forms = "a:b, a:, :b or n (the first n); a path with '#' in it needs one, ':' for all";
    throw new MalmenError('bad-input', `'${text}': the slice must be ${forms}; got '${slice}'`);
  }
  const [, start, end, count] = match;
  return { start: Number(start || 0), end: Number(count || end || Number.POSITIVE_INFINITY) };
}

/** How a reading is stopped. */
export interface ReadOptions {
  readonly signal?: AbortSignal;
}

/**
 * The records of a slice, in the order of the file. The whole file is checked all the same: a file is either right or refused.
 * @throws MalmenError for a missing file, bad records (all of them listed) or a slice that holds none; the signal's reason
 */
export async function readRecords(text: string, { signal }: ReadOptions = {}): Promise<readonly EditRecord[]> {
  const spec = parseSpec(text);
  const problems = new Problems();
  const checks = new RecordChecks(problems);
  const placed = await takeSlice(spec, { problems, signal }, (candidate) => checks.accepts(candidate));
  if (!spec.leaveOut) problems.throwIfAny();
  if (placed.records.length === 0) throw holdsNone(text, placed.count, problems);
  return placed.records.map(({ record }) => record);
}

/**
 * All records of a slice that can be read, each with its place, and what is wrong with the others. Records that cannot stand
 * together are all here; they count in the slice, too.
 * @throws MalmenError for a missing or damaged file, or one (or a slice) that holds nothing at all; the signal's reason
 */
export async function readPlacedRecords(
  text: string,
  { signal }: ReadOptions = {},
): Promise<{ readonly records: readonly PlacedRecord[]; readonly problems: readonly Problem[] }> {
  const problems = new Problems();
  const { records, count } = await takeSlice(parseSpec(text), { problems, signal }, () => true);
  if (records.length === 0 && problems.count === 0) throw holdsNone(text, count, problems);
  return { records, problems: problems.all };
}

async function takeSlice(
  { kind, path, slice }: Spec,
  { problems, signal }: { readonly problems: Problems; readonly signal: AbortSignal | undefined },
  accepts: (placed: PlacedRecord) => boolean,
): Promise<{ records: PlacedRecord[]; count: number }> {
  const records: PlacedRecord[] = [];
  let count = 0;
  for await (const placed of readers[kind]({ path, problems, signal })) {
    signal?.throwIfAborted();
    if (!accepts(placed)) continue;
    if (count >= slice.start && count < slice.end) records.push(placed);
    count++;
  }
  return { records, count };
}

function holdsNone(text: string, count: number, problems: Problems): MalmenError {
  const leftOut = problems.count > 0 ? ` (${problems.count} problems left out)` : '';
  return new MalmenError('bad-input', `'${text}': holds no record; the file has ${count}${leftOut}`);
}
