// Running statistics of the captured rows of every editing run in the golden folder, against float64 over all rows at once and
// against the stored ones. The published code multiplies each batch's squared deviations by n / (n - 1); ours are exact.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HyperEditor, RowChunk } from '../../src/editors/hyper-editor.js';
import { type BatchMoments, RunningMoments } from '../../src/editors/running-moments.js';
import type { LayerGroup } from '../../src/engine/layer-group.js';
import { expectClose } from './closeness.js';
import { editingRuns } from './golden-folder.js';
import { networkPrefix, type OpenRun, openRun, stateBefore, storedEditor, storedMoments } from './stored-editor.js';
import { layerRows, publishedCapture } from './stored-rows.js';
import { testable } from './testable.js';

/** Of the largest value: the stored ones are float32, summed in float32, and so are the rows. */
const storedTolerance = 2e-6;

/** Of the largest value: float64 against float64. */
const exactTolerance = 1e-13;

/** Of the largest value: each batch's own moments are summed in float32, then merged in float64. */
const observedTolerance = 1e-6;

type Rows = readonly (readonly number[])[];

const runs = testable(editingRuns(), 'editing runs');

describe.each(runs)('$model.name $label', (stored) => {
  let run: OpenRun;
  const steps = stored.description.steps.map((_, step) => ({ name: `step ${step}`, step, edits: `step${step}.edit` }));
  const last = { name: 'validation', step: steps.length, edits: 'valid.edit' };
  const stages = stored.description.valid ? [...steps, last] : steps;
  beforeAll(async () => {
    run = await openRun(stored);
  });
  afterAll(() => run.language.close());

  it.each(stages)('$name: the stored statistics, from ours before it', async ({ step, edits }) => {
    const after = step < steps.length ? (prefix: string) => `step${step}.state.${prefix}normalizer.` : undefined;
    await expectPublished(run, step, edits, after ?? ((prefix) => `valid.norm.${prefix}`));
  });

  it.each(stages)('$name: those of all rows at once in float64', async ({ edits }) => {
    await expectExact(run, edits);
  });
});

/** Continues from the stored statistics with the rows of each batch and layer, by the published rule. */
async function expectPublished(
  run: OpenRun,
  step: number,
  edits: string,
  after: (prefix: string) => string,
): Promise<void> {
  const before = (group: LayerGroup) => `${stateBefore(step)}.${networkPrefix(group)}normalizer.`;
  const editor = await freshEditor(run, step);
  const chunks = await publishedCapture(run, editor, edits);
  for (const [at, group] of run.editable.groups.entries()) {
    const moments = storedMoments(run.file, before(group));
    for (const chunk of chunks) {
      for (const rows of await rowsByLayer(run, chunk, at)) moments.merge(asPublished(momentsOf(rows)));
    }
    expectStored(run, moments, after(networkPrefix(group)));
  }
  release(run, editor, chunks);
}

function expectStored({ file }: OpenRun, moments: RunningMoments, start: string): void {
  expect(moments.count, `${start}n`).toBe(file.number(`${start}n`));
  expectClose(`${start}mean`, moments.mean, file.numbers(`${start}mean`), storedTolerance);
  expectClose(`${start}var`, moments.squares, file.numbers(`${start}var`), storedTolerance);
  expectClose(`${start}std`, moments.deviation(), file.numbers(`${start}std`), storedTolerance);
}

function asPublished({ count, mean, squares }: BatchMoments): BatchMoments {
  return { count, mean, squares: Array.from(squares, (sum) => (sum * count) / (count - 1)) };
}

/** What the editor observes, and merging in pieces of any size, against two passes over all rows. */
async function expectExact(run: OpenRun, edits: string): Promise<void> {
  const editor = await freshEditor(run, 0);
  const chunks = await publishedCapture(run, editor, edits);
  for (const chunk of chunks) await editor.observe(chunk);
  for (const [at, network] of editor.networks.entries()) {
    const [moments] = network.moments;
    const byChunk: Rows[] = [];
    for (const chunk of chunks) byChunk.push(...(await rowsByLayer(run, chunk, at)));
    const rows = byChunk.flat();
    expectMoments('observed', moments!, rows, observedTolerance);
    for (const size of [1, 2, 7, rows.length]) {
      expectMoments(`pieces of ${size}`, mergedInPieces(rows, size), rows, exactTolerance);
    }
  }
  release(run, editor, chunks);
}

function expectMoments(name: string, moments: RunningMoments, rows: Rows, tolerance: number): void {
  const { mean, squares } = momentsOf(rows);
  expect(moments.count, name).toBe(rows.length);
  expectClose(`${name}: mean`, moments.mean, mean, tolerance);
  expectClose(`${name}: squares`, moments.squares, squares, tolerance);
  const deviation = squares.map((sum) => Math.sqrt(sum / (rows.length - 1)));
  expectClose(`${name}: deviation`, moments.deviation(), deviation, observedTolerance);
}

function mergedInPieces(rows: Rows, size: number): RunningMoments {
  const merged = new RunningMoments(rows[0]!.length);
  for (let start = 0; start < rows.length; start += size) merged.merge(momentsOf(rows.slice(start, start + size)));
  return merged;
}

/** With statistics of no rows. */
function freshEditor(run: OpenRun, step: number): Promise<HyperEditor> {
  return storedEditor(run, {
    parameters: stateBefore(step),
    moments: ({ keySize, valueSize }) => new RunningMoments(keySize + valueSize),
  });
}

function release(run: OpenRun, editor: HyperEditor, chunks: readonly RowChunk[]): void {
  for (const chunk of chunks) editor.releaseChunk(run.editable, chunk);
  editor.close(run.editable.runtime);
}

/** Key and value gradient joined, for each layer of a group. */
async function rowsByLayer({ editable }: OpenRun, chunk: RowChunk, group: number): Promise<Rows[]> {
  const keys = await layerRows(editable, (at) =>
    at === group ? [[chunk.groups[at]!.keys, chunk.groups[at]!.counts]] : [],
  );
  const gradients = await layerRows(editable, (at) =>
    at === group ? [[chunk.groups[at]!.valueGradients, chunk.groups[at]!.counts]] : [],
  );
  const { keySize, valueSize, layers } = editable.groups[group]!;
  return layers.map(({ name }) =>
    Array.from({ length: chunk.rows.get(name)! }, (_, row) => [
      ...keys.get(name)!.slice(row * keySize, (row + 1) * keySize),
      ...gradients.get(name)!.slice(row * valueSize, (row + 1) * valueSize),
    ]),
  );
}

/** In two passes: the mean, then the squared deviations from it. */
function momentsOf(
  rows: readonly (readonly number[])[],
): BatchMoments & { readonly mean: number[]; squares: number[] } {
  const columns = rows[0]!.map((_, column) => rows.map((row) => row[column]!));
  const mean = columns.map((values) => values.reduce((sum, value) => sum + value, 0) / rows.length);
  const squares = columns.map((values, at) => values.reduce((sum, value) => sum + (value - mean[at]!) ** 2, 0));
  return { count: rows.length, mean, squares };
}
