// Data sets that come as one JSON list of objects: read whole, each element turned into a record or into problems.

import { MalmenError } from '../errors.js';
import { type PlacedRecord, withUniqueIds } from './check-records.js';
import { readText } from './json-lines.js';
import { Problems } from './problems.js';
import type { EditRecord } from './record.js';

/** Turns one element into a record; what is wrong goes to `fields`. */
export type ElementReader = (fields: FieldReader, index: number) => EditRecord;

/** Reads fields of one element and notes what is missing. */
export class FieldReader {
  readonly #value: Readonly<Record<string, unknown>>;
  readonly #complain: (problem: string) => void;
  readonly #path: string;

  constructor(value: unknown, complain: (problem: string) => void, path = '') {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!isObject) complain(`${path || 'record'}: expected an object`);
    this.#value = isObject ? (value as Record<string, unknown>) : {};
    this.#complain = complain;
    this.#path = path;
  }

  has(name: string): boolean {
    return this.#value[name] !== undefined;
  }

  /** A string that is not empty. */
  text(name: string): string {
    return this.#checked(this.#value[name], name);
  }

  /** A list of strings that are not empty. */
  texts(name: string): string[] {
    const list = this.#value[name];
    if (Array.isArray(list)) return list.map((item, at) => this.#checked(item, `${name}.${at}`));
    this.#complain(`${this.#path}${name}: expected a list of strings`);
    return [];
  }

  object(name: string): FieldReader {
    return new FieldReader(this.#value[name], this.#complain, `${this.#path}${name}.`);
  }

  /** A string or number as text, for identities. */
  label(name: string, otherwise: string): string {
    const value = this.#value[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : otherwise;
  }

  #checked(value: unknown, name: string): string {
    if (typeof value === 'string' && value.trim() !== '') return value;
    this.#complain(
      `${this.#path}${name}: expected text, got ${value === undefined ? 'nothing' : JSON.stringify(value)}`,
    );
    return '';
  }
}

/** @throws MalmenError that lists every bad element */
export async function readJsonArray(path: string, leaveOut: boolean, read: ElementReader): Promise<EditRecord[]> {
  const list = parseList(await readText(path), path);
  const problems = new Problems(path, leaveOut);
  const placed = list.flatMap((element, index): PlacedRecord[] => {
    const where = `: record ${index + 1}`;
    const before = problems.count;
    const record = read(new FieldReader(element, (problem) => problems.add(where, problem)), index);
    return problems.count === before ? [{ where, record }] : [];
  });
  const records = withUniqueIds(placed, problems);
  problems.throwIfAny();
  return records;
}

function parseList(text: string, path: string): unknown[] {
  const fail = (problem: string) => new MalmenError('bad-input', `${path}: ${problem}`);
  if (text.trim() === '') throw fail('the file is empty; it should hold a list of records');
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw fail(`not JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(list)) throw fail('expected a list of records');
  if (list.length === 0) throw fail('the list is empty; it should hold at least one record');
  return list;
}
