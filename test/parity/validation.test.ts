// The published validation of every editing run in the golden folder: the shift for held-out edits, and which answers the edited
// model gives.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HyperEditor } from '../../src/editors/hyper-editor.js';
import type { LayerTensors } from '../../src/engine/editable-model.js';
import { sumRows } from '../../src/engine/row-counts.js';
import { expectWithin } from './closeness.js';
import { editingRuns } from './golden-folder.js';
import { type Comparison, comparison } from './limits.js';
import { storedBatches } from './stored-batches.js';
import {
  floats,
  networkPrefix,
  type OpenRun,
  openRun,
  stateBefore,
  storedDeviation,
  storedEditor,
} from './stored-editor.js';
import { publishedCapture } from './stored-rows.js';
import { testable } from './testable.js';

const kinds = ['edit', 'equiv', 'unrel'] as const;

/** Success rates are ratios of small counts, stored as float32. */
const ratioRounding = 1e-6;

const validated = editingRuns().filter(({ description }) => description.valid);
const runs = testable(validated, 'editing runs with a validation');

describe.each(runs)('$model.name $label', (stored) => {
  let run: OpenRun;
  let editor: HyperEditor;
  const compare = comparison(stored);
  const { min_top1_margin: margin, wandb, mean_success_before_edit: before } = stored.description.valid!;

  beforeAll(async () => {
    run = await openRun(stored);
    editor = await storedEditor(run, {
      parameters: stateBefore(stored.description.steps.length),
      moments: (group) => storedDeviation(run.file, `valid.norm.${networkPrefix(group)}`),
    });
  });
  afterAll(() => run.language.close());

  it('success before the edit', async () => {
    const success = await successes(run, run.editable.base);
    for (const kind of kinds) expectWithin(kind, [mean(success[kind])], [before[kind]], ratioRounding);
  });

  it(`shift, and the success of every example under it (smallest top-1 margin ${margin.toPrecision(2)})`, async () => {
    const shift = await expectShift(run, editor, compare);
    const weights = await run.editable.shifted(shift.layers);
    const success = await successes(run, weights);
    for (const kind of kinds) {
      expectWithin(`${kind} successes`, success[kind], run.file.numbers(`valid.${kind}_succs`), ratioRounding);
    }
    const means = { ES: mean(success.edit), GS: mean(success.equiv), LS: mean(success.unrel) };
    for (const name of ['ES', 'GS', 'LS'] as const) expectWithin(name, [means[name]], [wandb[name]], ratioRounding);
    run.editable.releaseWeights(weights);
    shift.release();
  });
});

async function expectShift(run: OpenRun, editor: HyperEditor, compare: Comparison) {
  const chunks = await publishedCapture(run, editor, 'valid.edit');
  const losses = chunks.map(({ loss }) => loss);
  compare('valid.edit_losses', losses, run.file.numbers('valid.edit_losses'));
  const rows = sumRows(chunks.map((chunk) => chunk.rows));
  const solved = await editor.solve(run.editable, chunks, rows);
  for (const chunk of chunks) editor.releaseChunk(run.editable, chunk);
  for (const [layer, shift] of solved.shift) {
    const name = `valid.param_shift.${layer}`;
    compare(name, await floats(run.editable, shift), run.file.numbers(name));
  }
  return { layers: solved.shift, release: () => solved.release() };
}

/** The share of answer tokens that come out right, example by example. */
async function successes({ editable, tuples }: OpenRun, weights: LayerTensors) {
  const found: Record<(typeof kinds)[number], number[]> = { edit: [], equiv: [], unrel: [] };
  for (const kind of kinds) {
    const batches = storedBatches(tuples, `valid.${kind}`);
    expect(batches.length, `valid.${kind}`).toBeGreaterThan(0);
    for (const batch of batches) {
      const frozen = await editable.freeze(batch);
      const { predicted } = await editable.predict(frozen, weights);
      editable.releaseFrozen(frozen);
      found[kind].push(...sharesRight(batch.answerCounts, predicted, batch.tensors.labels.data));
    }
  }
  return found;
}

function sharesRight(counts: readonly number[], predicted: BigInt64Array, labels: BigInt64Array): number[] {
  let start = 0;
  return counts.map((count) => {
    const own = predicted.subarray(start, start + count);
    const right = [...own].filter((token, at) => token === labels[start + at]).length;
    start += count;
    return right / count;
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
