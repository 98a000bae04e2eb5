// Writes schema/record.schema.json from the schema that the program checks records with.
import { writeFileSync } from 'node:fs';
import { z } from 'zod';
import { recordSchema } from '../src/data/record-schema.js';

writeFileSync(
  new URL('../schema/record.schema.json', import.meta.url),
  `${JSON.stringify(z.toJSONSchema(recordSchema, { io: 'input' }), null, 2)}\n`,
);
