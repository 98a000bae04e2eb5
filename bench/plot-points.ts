// The plot of points that were measured in several runs and put into one file.
//
//   npx tsx bench/plot-points.ts --points docs/equal-steps.json --out docs/equal-steps.svg

import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { type CurvePoint, scorePlot } from './score-plot.js';

const { values: options } = parseArgs({ options: { points: { type: 'string' }, out: { type: 'string' } } });
const points = JSON.parse(await readFile(options.points!, 'utf8')) as CurvePoint[];
const titles = {
  es: 'ES: edited prompts',
  gs: 'GS: rephrased prompts',
  ls: 'LS: unrelated prompts',
  ...(points.some(({ scores }) => scores.unchanged !== undefined) ? { unchanged: 'unchanged predictions' } : {}),
};
await writeFile(options.out!, scorePlot(points, titles));
