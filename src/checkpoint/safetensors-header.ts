// The JSON header of a safetensors file: parsing with every check that the format asks for, and formatting.
// Knows bytes, not files: a file's name is used in messages only.

import { MalmenError } from '../errors.js';
import { elementCount, type StorageDType, storageBytes } from '../tensor.js';

/** One tensor's line in a header. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: StorageDType;
  readonly shape: readonly number[];
  /** First byte, and the byte after the last, counted from the end of the header. */
  readonly start: number;
  readonly end: number;
}

export interface Header {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their data. */
  readonly entries: readonly HeaderEntry[];
}

/** What a header is checked against. */
export interface HeaderContext {
  /** As the user named it, for messages. */
  readonly file: string;
  /** Bytes of the file after the header. */
  readonly dataBytes: number;
}

const metadataKey = '__metadata__';

const dtypes: ReadonlyMap<string, StorageDType> = new Map([
  ['F64', 'f64'],
  ['F32', 'f32'],
  ['F16', 'f16'],
  ['BF16', 'bf16'],
  ['I64', 'i64'],
  ['I32', 'i32'],
  ['I16', 'i16'],
  ['I8', 'i8'],
  ['U8', 'u8'],
  ['BOOL', 'bool'],
]);

const dtypeNames = new Map([...dtypes].map(([name, dtype]) => [dtype, name]));

/**
 * Every tensor's range fits its dtype and shape, and the ranges cover the data without a gap or an overlap.
 * @throws MalmenError that names the file and the tensor
 */
export function parseHeader(json: Uint8Array, context: HeaderContext): Header {
  const fields = parseObject(json, context.file);
  const entries: HeaderEntry[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (name !== metadataKey) entries.push(parseEntry(name, value, context));
  }
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  assertCovered(entries, context);
  return { metadata: parseMetadata(fields[metadataKey], context.file), entries };
}

function parseObject(json: Uint8Array, file: string): Record<string, unknown> {
  const { text, value } = parseJson(json, file);
  // The format wants the brace first, and without it an array or a number would pass for JSON.
  if (!text.startsWith('{')) throw damaged(file, 'the header is not a JSON object; not a safetensors file?');
  const repeated = repeatedKey(text);
  if (repeated !== undefined)
    throw damaged(file, `the header has '${repeated}' twice; which one is meant is undefined`);
  return value as Record<string, unknown>;
}

function parseJson(json: Uint8Array, file: string): { text: string; value: unknown } {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
    return { text, value: JSON.parse(text) };
  } catch (error) {
    const reason = (error as Error).message;
    throw damaged(file, `the header is not JSON in UTF-8 (${reason}); not a safetensors file?`, error);
  }
}

/** The first key that an object of a valid JSON text holds twice; `JSON.parse` keeps the last one without a word. */
function repeatedKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  let text = '';
  for (let i = 0; i < json.length; i++) {
    const char = json[i];
    if (char === '{' || char === '[') open.push(new Set());
    else if (char === '}' || char === ']') open.pop();
    else if (char === '"') {
      const end = endOfString(json, i);
      text = json.slice(i, end);
      i = end - 1;
    } else if (char === ':') {
      const key = JSON.parse(text) as string;
      if (open.at(-1)!.has(key)) return key;
      open.at(-1)!.add(key);
    }
  }
  return undefined;
}

/** Position after the closing quote of the string that opens at `start`. */
function endOfString(json: string, start: number): number {
  let i = start + 1;
  while (json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
  return i + 1;
}

function parseMetadata(value: unknown, file: string): Record<string, string> {
  if (value === undefined) return {};
  if (!isObject(value)) throw damaged(file, `${metadataKey} is not an object of strings`);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw damaged(file, `${metadataKey}: '${key}' is not a string`);
  }
  return value as Record<string, string>;
}

function parseEntry(name: string, value: unknown, context: HeaderContext): HeaderEntry {
  const where = `tensor '${name}'`;
  if (!isObject(value)) throw damaged(context.file, `${where}: expected dtype, shape and data_offsets`);
  const entry = {
    name,
    dtype: parseDtype(value.dtype, where, context.file),
    shape: parseShape(value.shape, where, context.file),
    ...parseRange(value.data_offsets, where, context),
  };
  const expected = elementCount(entry.shape) * storageBytes[entry.dtype];
  if (entry.end - entry.start === expected) return entry;
  const needs = Number.isSafeInteger(expected) ? `${expected} bytes` : 'more bytes than any file has';
  throw damaged(
    context.file,
    `${where}: ${value.dtype} of shape [${entry.shape}] needs ${needs}, its range has ${entry.end - entry.start}`,
  );
}

function parseDtype(value: unknown, where: string, file: string): StorageDType {
  const dtype = typeof value === 'string' ? dtypes.get(value) : undefined;
  if (dtype) return dtype;
  const known = [...dtypes.keys()].join(', ');
  throw new MalmenError('unsupported', `${file}: ${where}: dtype ${shown(value)} is not one of ${known}`);
}

function parseShape(value: unknown, where: string, file: string): readonly number[] {
  if (Array.isArray(value) && value.every(isSize)) return value;
  throw damaged(file, `${where}: shape ${shown(value)} is not a list of sizes`);
}

function parseRange(value: unknown, where: string, { file, dataBytes }: HeaderContext): { start: number; end: number } {
  if (!Array.isArray(value) || value.length !== 2 || !value.every(isSize)) {
    throw damaged(file, `${where}: data_offsets ${shown(value)} are not two positions`);
  }
  const [start, end] = value as [number, number];
  if (start <= end && end <= dataBytes) return { start, end };
  throw damaged(
    file,
    `${where}: bytes ${start} to ${end} are not a range of the file's ${dataBytes} data bytes; it is truncated or damaged`,
  );
}

function assertCovered(sorted: readonly HeaderEntry[], { file, dataBytes }: HeaderContext): void {
  let position = 0;
  let previous = 'the header';
  for (const { name, start, end } of sorted) {
    if (start < position) throw damaged(file, `${previous} and tensor '${name}' overlap`);
    if (start > position) throw damaged(file, `${start - position} bytes before tensor '${name}' belong to no tensor`);
    position = end;
    previous = `tensor '${name}'`;
  }
  if (position < dataBytes) {
    throw damaged(file, `${dataBytes - position} bytes after ${previous} belong to no tensor`);
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const shown = (value: unknown) => JSON.stringify(value) ?? '(missing)';

function damaged(file: string, problem: string, cause?: unknown): MalmenError {
  return new MalmenError('bad-input', `${file}: ${problem}`, { cause });
}

/**
 * The bytes before the data: header length, then the header, padded with spaces so that the data starts at a multiple of 8.
 * Tensors keep the given order.
 * @throws RangeError when a name is taken twice
 */
export function formatHeader(
  tensors: readonly Pick<HeaderEntry, 'name' | 'dtype' | 'shape'>[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  // Written field by field: an object would put names that look like numbers first.
  const fields = new Map<string, unknown>(Object.keys(metadata).length > 0 ? [[metadataKey, metadata]] : []);
  let position = 0;
  for (const { name, dtype, shape } of tensors) {
    if (name === metadataKey || fields.has(name))
      throw new RangeError(`two tensors named '${name}', or a reserved name`);
    const start = position;
    position += elementCount(shape) * storageBytes[dtype];
    fields.set(name, { dtype: dtypeNames.get(dtype), shape, data_offsets: [start, position] });
  }
  const text = [...fields].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',');
  return withLength(Buffer.from(`{${text}}`));
}

function withLength(json: Buffer): Uint8Array {
  const padded = Math.ceil(json.byteLength / 8) * 8;
  const out = Buffer.alloc(8 + padded, ' ');
  out.writeBigUInt64LE(BigInt(padded));
  json.copy(out, 8);
  return out;
}
