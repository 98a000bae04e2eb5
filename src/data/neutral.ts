// Facts that hardly any edit should touch, of our own: what is asked to see what else changed, where the records bring nothing.

import { fileURLToPath } from 'node:url';
import type { Example } from './record.js';
import { readRecords } from './spec.js';

/** As far from the sources as from the built files. */
const table = new URL('../../data/neutral.csv', import.meta.url);

/** A few dozen prompts with their true answers, in English. */
export async function neutralExamples(): Promise<Example[]> {
  const records = await readRecords(`csv:${fileURLToPath(table)}#:`);
  return records.map(({ edit }) => edit);
}
