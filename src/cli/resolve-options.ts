// From flags and settings to the options of a command: flags win, the schema judges, all problems are told at once.
// Knows no terminal and no file format.

import type { z } from 'zod';
import type { CommandEntry } from './command-entry.js';
import { type Flag, flagsOf } from './flags.js';
import type { Settings } from './settings.js';
import { UsageError } from './usage-error.js';

/**
 * The options to run a command with.
 *
 * @param given what flags and arguments said, by key
 * @param settings what the settings file said; flags win
 */
export function resolveOptions(entry: CommandEntry, given: Settings, settings: Settings = {}): Settings {
  const merged = { ...settings, ...given };
  const checked = entry.schema.safeParse(merged);
  if (checked.success) return checked.data;
  const flags = flagsOf(entry.schema, entry.positional);
  const problems = checked.error.issues.map((issue) => {
    const source = String(issue.path[0]) in given ? '' : settingsNote(issue, settings);
    return `${describeIssue(issue, merged, flags)}${source}`;
  });
  throw new UsageError(problemText(entry.name, [...new Set(problems)]));
}

function problemText(name: string, problems: readonly string[]): string {
  const text = problems.length === 1 ? ` ${problems[0]}` : problems.map((problem) => `\n  ${problem}`).join('');
  return `malmen ${name}:${text}\nmalmen ${name} --help lists the options`;
}

function settingsNote(issue: z.core.$ZodIssue, settings: Settings): string {
  return String(issue.path[0]) in settings ? ' (in the settings file)' : '';
}

/** One sentence: the flag's name, what its value must be, what was given. */
function describeIssue(issue: z.core.$ZodIssue, options: Settings, flags: readonly Flag[]): string {
  const flag = flags.find(({ key }) => key === issue.path[0]);
  if (flag === undefined) return issue.message;
  const value = valueAt(options, issue.path);
  if (value === undefined) return `${flag.name} is required: ${flag.description}`;
  return `${flag.name} must ${requirement(issue, flag)}, got ${show(value)}`;
}

/** What must hold, to stand after "must". */
function requirement(issue: z.core.$ZodIssue, flag: Flag): string {
  switch (issue.code) {
    case 'invalid_value':
      return `be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.join(', ')}`;
    case 'invalid_type':
      return `be ${flag.kind === 'integer' ? typeNames.int : (typeNames[issue.expected] ?? issue.expected)}`;
    case 'too_small':
      if (issue.origin === 'string' || issue.origin === 'array') return 'not be empty';
      return `be ${issue.inclusive ? 'at least' : 'greater than'} ${issue.minimum}`;
    case 'too_big':
      return `be ${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`;
    default:
      return `satisfy: ${issue.message}`;
  }
}

const typeNames: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  array: 'a list',
};

function valueAt(options: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], options);
}

const show = (value: unknown) => (typeof value === 'number' ? String(value) : JSON.stringify(value));
