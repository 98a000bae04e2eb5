// The fields that a schema knows at a place inside a value. Knows no data set.

import { z } from 'zod';

/** The names of the fields of the object at `path`; none where the schema has no object there. */
export function fieldsAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  const bare = unwrapped(schema);
  const [key, ...rest] = path;
  if (bare instanceof z.ZodArray && key !== undefined) return fieldsAt(bare.element, rest);
  if (!(bare instanceof z.ZodObject)) return [];
  if (key === undefined) return Object.keys(bare.shape);
  const field = bare.shape[String(key)];
  return field === undefined ? [] : fieldsAt(field, rest);
}

/** Without what only says that it may be absent, or what becomes of it. */
function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  const isAround =
    schema instanceof z.ZodDefault || schema instanceof z.ZodOptional || schema instanceof z.ZodExactOptional;
  if (isAround) return unwrapped(schema.unwrap());
  return schema instanceof z.ZodPipe ? unwrapped(schema.in) : schema;
}
