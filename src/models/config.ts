// Reading config.json: only the keys that change what is computed, each checked, with an error that names the key.

import { z } from 'zod';
import { MalmenError } from '../errors.js';

/** A size. */
export const count = z.int().positive();

/** @throws MalmenError that lists every key that is wrong. Keys that a schema does not name (dropout, ...) are ignored. */
export function parseConfig<T>(modelType: string, schema: z.ZodType<T>, json: Readonly<Record<string, unknown>>): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new MalmenError('bad-input', `config.json (${modelType}): ${problems.join('; ')}`);
}

/** Two keys of a configuration that cannot both hold. */
export function contradiction(modelType: string, problem: string): MalmenError {
  return new MalmenError('bad-input', `config.json (${modelType}): ${problem}`);
}
