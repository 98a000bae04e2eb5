// Options written back as the command line that gives them. Knows no particular command.

import { z } from 'zod';
import { kebabCase } from '../util/kebab-case.js';

/**
 * What to type for these options: those that the schema's defaults do not give anyhow.
 *
 * @example commandLine('edit', editOptions, { model: 'my model', force: true, ... }) // "malmen edit --model 'my model' --force"
 */
export function commandLine(name: string, schema: z.ZodObject, options: Readonly<Record<string, unknown>>): string {
  const { properties = {} } = z.toJSONSchema(schema, { io: 'input' });
  const flags = Object.entries(properties).flatMap(([key, property]) => {
    const value = options[key];
    const usual = typeof property === 'boolean' ? undefined : property.default;
    return value === undefined || String(value) === String(usual) ? [] : flagOf(key, value);
  });
  return ['malmen', name, ...flags].join(' ');
}

function flagOf(key: string, value: unknown): string[] {
  const name = kebabCase(key);
  if (value === true) return [`--${name}`];
  if (value === false) return [`--no-${name}`];
  return [`--${name}`, shellWord(Array.isArray(value) ? value.join(',') : String(value))];
}

/** One word for a POSIX shell. `#` begins a comment only at the start of a word, so slices stay as they are typed. */
function shellWord(text: string): string {
  return /^[\w./:,@%+=-][\w./:,@%+=#!-]*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
