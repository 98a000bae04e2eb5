// What a limit of memory makes of a job, on the embedded model, told from the estimate itself.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { embeddedModel } from '../../src/commands/demo.js';
import { estimateMemory } from '../../src/commands/memory-estimate.js';
import { jobsOf } from '../../src/commands/memory-job.js';
import { planRun } from '../../src/commands/memory-limit.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import { collecting } from './tiny-world.js';

const batch = 4;
const pairs = Array.from({ length: batch }, (_, at) => ({ prompt: [1 + at, 2, 3], answer: [4 + at] }));
let model: LanguageModel;
let jobOf: ReturnType<typeof jobsOf>;

beforeAll(async () => {
  model = await LanguageModel.open(embeddedModel);
  const layers = model.layers(model.definition.defaultLayers.slice(-1));
  jobOf = jobsOf({ task: 'eval', model, layers, pairs, edits: pairs, tokens: 'answers' });
});
afterAll(() => model.close());

const plan = (kilobytes: number) => planRun({ memory: `${kilobytes}KB`, batch }, jobOf, collecting());
const planWith = (bytes: number) => plan(Math.ceil(bytes / 1000));
const planBelow = (bytes: number) => plan(Math.ceil(bytes / 1000) - 1);
const needs = (schedule: 'whole' | 'blocks', size = batch) => estimateMemory(schedule, jobOf(size));

test('the whole model where it fits', () => {
  const { peak } = needs('whole');
  const given = 1000 * Math.ceil(peak / 1000);
  expect(planWith(peak)).toEqual({ schedule: 'whole', batch, keepsFreedBytes: given - peak });
  expect(planBelow(needs('whole').peak)).toMatchObject({ schedule: 'blocks', batch });
});

test('block after block, freed memory is kept where there is room for one pass more', () => {
  const { peak, pass } = needs('blocks');
  expect(peak + pass).toBeLessThan(needs('whole').peak);
  const given = 1000 * Math.ceil((peak + pass) / 1000);
  expect(planWith(peak + pass)).toEqual({ schedule: 'blocks', batch, keepsFreedBytes: given - peak });
  expect(planBelow(peak + pass)).toEqual({ schedule: 'blocks', batch, keepsFreedBytes: 0 });
});

test('fewer prompts per pass where all at once do not fit', () => {
  expect(needs('blocks', 2).peak).toBeLessThan(needs('blocks').peak);
  expect(planBelow(needs('blocks').peak)).toMatchObject({ schedule: 'blocks', batch: 2 });
});

test('less than one prompt needs is refused, with what it needs', () => {
  expect(() => planBelow(needs('blocks', 1).peak)).toThrow(/one prompt at a time, this job still needs about \d+/);
});
