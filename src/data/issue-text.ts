// A schema's complaints as sentences: field, what was expected, what was got, and for a misspelt field the one that was meant.
// Knows no data set.

import type { z } from 'zod';
import { nearest } from '../util/nearest.js';
import { fieldsAt } from './schema-fields.js';

/** Characters of a wrong value that are shown. */
const shownLength = 40;

const nameOf: Readonly<Record<string, string>> = {
  string: 'text',
  array: 'a list',
  object: 'an object',
  number: 'a number',
};

/**
 * One sentence per problem, each beginning with the field. A schema's own messages say what was expected, no more.
 * @param value what was checked: it says what stands in place of what was expected
 */
export function describeIssues(issues: readonly z.core.$ZodIssue[], value: unknown, schema: z.ZodType): string[] {
  return issues.flatMap((issue) => {
    const field = issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
    const found =
      issue.code === 'unrecognized_keys' ? unknownFields(issue, schema) : [wrongValue(issue, value, schema)];
    return found.map((sentence) => field + sentence);
  });
}

function unknownFields({ keys, path }: z.core.$ZodIssueUnrecognizedKeys, schema: z.ZodType): string[] {
  const known = fieldsAt(schema, path);
  return keys.map((key) => `unknown field '${key}'; ${meant(key, known)}`);
}

function wrongValue(issue: z.core.$ZodIssue, value: unknown, schema: z.ZodType): string {
  const got = valueAt(value, issue.path);
  const expected =
    issue.code === 'invalid_type' ? `expected ${nameOf[issue.expected] ?? issue.expected}` : issue.message;
  const hint = got === undefined ? misspelt(issue.path, value, schema) : '';
  return `${expected}, got ${shown(got)}${hint}`;
}

function meant(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  return near === undefined ? `the known ones are ${known.join(', ')}` : `did you mean '${near}'?`;
}

/** For a missing field: a field of nearly that name that the schema does not know. */
function misspelt(path: readonly PropertyKey[], value: unknown, schema: z.ZodType): string {
  const known = fieldsAt(schema, path.slice(0, -1));
  const unknown = Object.keys(Object(valueAt(value, path.slice(0, -1)))).filter((key) => !known.includes(key));
  const near = nearest(String(path.at(-1)), unknown);
  return near === undefined ? '' : `; there is '${near}', is it misspelt?`;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Readonly<Record<PropertyKey, unknown>>)[key], value);
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  const json = JSON.stringify(value);
  return json.length > shownLength ? `${json.slice(0, shownLength)}...` : json;
}
