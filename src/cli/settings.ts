// Settings files: the options of a command in YAML or JSON, under the schema's own camelCase keys.
// Knows no flags; values are judged by the schema later.

import { readFileSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { fileError } from '../errors.js';
import { didYouMean } from '../util/nearest.js';
import { UsageError } from './usage-error.js';

export type Settings = Readonly<Record<string, unknown>>;

/**
 * Reads a settings file. JSON is read as the YAML that it also is; an empty file sets nothing.
 *
 * @param keys the options of the command; any other key is an error that names the nearest of them
 */
export function readSettings(path: string, keys: readonly string[]): Settings {
  const settings = parseSettings(path, readText(path));
  const unknown = Object.keys(settings).filter((key) => !keys.includes(key));
  if (unknown.length > 0) {
    throw new UsageError(unknown.map((key) => `${path}: unknown key '${key}'${didYouMean(key, keys)}`).join('\n'));
  }
  return settings;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw fileError(error, path, 'reading the settings');
  }
}

function parseSettings(path: string, text: string): Settings {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const [problem] = document.errors;
  if (problem !== undefined) {
    const { line, col } = lineCounter.linePos(problem.pos[0]);
    throw new UsageError(`${path}:${line}:${col}: not YAML or JSON: ${problem.message}`);
  }
  const settings: unknown = document.toJS() ?? {};
  if (!isRecord(settings)) throw new UsageError(`${path}: expected keys with values, such as 'steps: 100'`);
  return settings;
}

function isRecord(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
