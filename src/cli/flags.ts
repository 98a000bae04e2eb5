// The flags of a command, read from its schema: name, kind of value, choices, default, meaning.
// Knows neither the library that parses command lines nor any command.

import { z } from 'zod';
import { kebabCase } from '../util/kebab-case.js';

type FlagKind = 'switch' | 'integer' | 'number' | 'text' | 'choice' | 'list';

/** One option of a command as the command line shows it. */
export interface Flag {
  /** The option's key in the schema and in settings files, camelCase. */
  readonly key: string;
  /** `--kebab-case`, or `UPPER CASE` for the option that is given without a flag. */
  readonly name: string;
  readonly positional: boolean;
  readonly kind: FlagKind;
  /** The values that may be given; empty unless the kind is `choice`. */
  readonly choices: readonly string[];
  readonly required: boolean;
  /** A regular expression that text must match; `undefined` where any text will do. */
  readonly pattern: string | undefined;
  /** `undefined` where the option has none. */
  readonly default: unknown;
  readonly description: string;
}

type Property = z.core.JSONSchema.JSONSchema;

/** The flags of a schema in its order. A property that no flag can express is a bug in the schema and throws. */
export function flagsOf(schema: z.ZodObject, positional?: string): Flag[] {
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: 'input' });
  return Object.entries(properties).map(([key, property]) => {
    if (typeof property === 'boolean') throw new Error(`option ${key}: its schema says nothing about its values`);
    return {
      key,
      name: key === positional ? kebabCase(key).toUpperCase() : `--${kebabCase(key)}`,
      positional: key === positional,
      kind: kindOf(key, property),
      choices: (property.enum ?? []).map(String),
      required: required.includes(key),
      pattern: property.pattern,
      default: property.default,
      description: property.description ?? '',
    };
  });
}

function kindOf(key: string, property: Property): FlagKind {
  if (property.enum !== undefined) return 'choice';
  if (property.type === 'boolean') return 'switch';
  if (property.type === 'integer' || property.type === 'number') return property.type;
  if (property.type === 'string') return 'text';
  if (property.type === 'array') return 'list';
  throw new Error(`option ${key}: no flag can express ${JSON.stringify(property)}`);
}

/** The flag as help texts show it: `--[no-]force`, `--steps <n>`, `--device <cpu|cuda>`, `PROMPT`. */
export function flagTerm(flag: Flag): string {
  if (flag.positional) return flag.name;
  if (flag.kind === 'switch') return flag.name.replace('--', '--[no-]');
  return `${flag.name} <${flag.kind === 'choice' ? flag.choices.join('|') : placeholders[flag.kind]}>`;
}

const placeholders: { readonly [K in Exclude<FlagKind, 'switch' | 'choice'>]: string } = {
  integer: 'n',
  number: 'x',
  text: 'value',
  list: 'value,...',
};

/** The meaning, then what must be given or is taken: `editing method (default: malmen)`. */
export function flagHelp(flag: Flag): string {
  const facts = [
    flag.positional && flag.kind === 'choice' ? flag.choices.join(', ') : '',
    flag.required ? 'required' : '',
    flag.default === undefined ? '' : `default: ${showDefault(flag)}`,
  ].filter((fact) => fact !== '');
  return facts.length === 0 ? flag.description : `${flag.description} (${facts.join('; ')})`;
}

export function showDefault(flag: Flag): string {
  if (flag.kind === 'switch') return flag.default === true ? 'on' : 'off';
  return Array.isArray(flag.default) ? flag.default.join(',') : String(flag.default);
}

/**
 * The value that a flag's text stands for. Text that is no number stays text, so that the schema reports it together
 * with all other problems. A list flag may be repeated: `previous` is what came before it.
 */
export function parseValue(flag: Flag, text: string, previous: unknown): unknown {
  switch (flag.kind) {
    case 'integer':
    case 'number':
      return text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text);
    case 'list':
      return [...(Array.isArray(previous) ? previous : []), ...text.split(',')];
    default:
      return text;
  }
}
