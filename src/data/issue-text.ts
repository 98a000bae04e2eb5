// A schema's complaints as sentences: field, what was expected, what was got, and for a misspelt field the one that was meant.
// Knows no data set.

import type { z } from 'zod';
import { nearestKey } from './nearest-key.js';

/** The fields that may stand in the object at a path. */
export type FieldsAt = (path: readonly PropertyKey[]) => readonly string[];

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
 * @param fieldsAt for strict schemas, where an unknown field is a problem
 */
export function describeIssues(issues: readonly z.core.$ZodIssue[], value: unknown, fieldsAt?: FieldsAt): string[] {
  return issues.flatMap((issue) => {
    const field = issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
    return sentences(issue, value, fieldsAt).map((sentence) => field + sentence);
  });
}

function sentences(issue: z.core.$ZodIssue, value: unknown, fieldsAt: FieldsAt | undefined): string[] {
  if (issue.code === 'unrecognized_keys') {
    const known = fieldsAt?.(issue.path) ?? [];
    return issue.keys.map((key) => `unknown field '${key}'; ${meant(key, known)}`);
  }
  const got = valueAt(value, issue.path);
  const expected =
    issue.code === 'invalid_type' ? `expected ${nameOf[issue.expected] ?? issue.expected}` : issue.message;
  return [`${expected}, got ${shown(got)}${misspelt(issue.path, value, got)}`];
}

function meant(key: string, known: readonly string[]): string {
  const nearest = nearestKey(key, known);
  return nearest === undefined ? `the known ones are ${known.join(', ')}` : `did you mean '${nearest}'?`;
}

/** Where a field is missing and one of nearly that name is there. */
function misspelt(path: readonly PropertyKey[], value: unknown, got: unknown): string {
  const parent = valueAt(value, path.slice(0, -1));
  if (got !== undefined || typeof parent !== 'object' || parent === null) return '';
  const near = nearestKey(String(path.at(-1)), Object.keys(parent));
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
