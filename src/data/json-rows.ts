// Rows of JSON files, one a line or all in one list, each checked against a schema. Knows no data set.

import type { z } from 'zod';
import { MalmenError } from '../errors.js';
import { describeIssues } from './issue-text.js';
import type { RecordSource } from './record-reader.js';
import { readLines, readText } from './text-file.js';

/** A row that is as its schema says. */
interface PlacedRow<Row> {
  readonly where: string;
  /** From 1: the line, or the element of the list. */
  readonly number: number;
  readonly row: Row;
}

/** A file that begins with `[` is a JSON list, any other JSON Lines: see {@link readJsonList} and {@link readJsonLines}. */
export async function* readJsonListOrLines<Row>(
  source: RecordSource,
  schemaOf: (row: unknown) => z.ZodType<Row>,
): AsyncGenerator<PlacedRow<Row>> {
  for await (const { text } of readLines(source.path, source.signal)) {
    yield* text.trimStart().startsWith('[') ? readJsonList(source, schemaOf) : readJsonLines(source, schemaOf);
    return;
  }
}

/** Rows of a JSON Lines file. Bad lines become problems. @throws MalmenError for a missing, damaged or empty file */
export async function* readJsonLines<Row>(
  source: RecordSource,
  schemaOf: (row: unknown) => z.ZodType<Row>,
): AsyncGenerator<PlacedRow<Row>> {
  const { path, problems, signal } = source;
  for await (const { line, text } of readLines(path, signal)) {
    const where = `${path}:${line}`;
    const value = parseJson(text, (problem) => problems.add(where, problem));
    if (value === undefined) continue;
    const row = check(value.json, schemaOf(value.json));
    if (row.ok) yield { where, number: line, row: row.value };
    else for (const problem of row.problems) problems.add(where, problem);
  }
}

/**
 * Rows of a file that is one JSON list, read whole. Bad elements become problems.
 * @param schemaOf the schema that fits an element's layout
 * @throws MalmenError for a missing, damaged or empty file, an empty list, or anything but a list
 */
export async function* readJsonList<Row>(
  { path, problems, signal }: RecordSource,
  schemaOf: (element: unknown) => z.ZodType<Row>,
): AsyncGenerator<PlacedRow<Row>> {
  for (const [index, element] of parseList(await readText(path, signal), path).entries()) {
    const where = `${path}: record ${index + 1}`;
    const row = check(element, schemaOf(element));
    if (row.ok) yield { where, number: index + 1, row: row.value };
    else for (const problem of row.problems) problems.add(where, problem);
  }
}

type Checked<Row> =
  | { readonly ok: true; readonly value: Row }
  | { readonly ok: false; readonly problems: readonly string[] };

function check<Row>(value: unknown, schema: z.ZodType<Row>): Checked<Row> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { ok: true, value: parsed.data };
  return { ok: false, problems: describeIssues(parsed.error.issues, value, schema) };
}

/** Wrapped, because `null` is JSON too; undefined after a complaint. */
function parseJson(text: string, complain: (problem: string) => void): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(text) };
  } catch (error) {
    complain(`not JSON: ${(error as Error).message}`);
    return undefined;
  }
}

function parseList(text: string, path: string): unknown[] {
  const fail = (problem: string) => {
    throw new MalmenError('bad-input', `${path}: ${problem}`);
  };
  const list = parseJson(text, fail)!.json;
  if (!Array.isArray(list)) return fail('expected a list of records');
  if (list.length === 0) return fail('the list is empty; it should hold at least one record');
  return list;
}
