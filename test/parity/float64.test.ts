// Where the golden folder has a run in float64 arithmetic: our float32 shifts must not be much farther from it
// than the published float32 ones are.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sumRows } from '../../src/engine/row-counts.js';
import { largestDeviation, largestValue } from './closeness.js';
import { editingRuns } from './golden-folder.js';
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
import { StoredTensors } from './stored-tensors.js';
import { testable } from './testable.js';

/** Our error may be so many times the published one. */
const allowance = 3;

const computed = editingRuns().flatMap((run) => {
  const exactFile = join(run.folder, `${run.label}.f64.safetensors`);
  return existsSync(exactFile) ? [{ ...run, exactFile }] : [];
});
const runs = testable(computed, 'editing runs in float64 arithmetic');

describe.each(runs)('$model.name $label', ({ exactFile, ...stored }) => {
  it('shifts of every step and of validation', async () => {
    const exact = await StoredTensors.open(exactFile);
    const run = await openRun(stored);
    const stages = [...stored.description.steps.keys()].map((step) => ({ name: `step${step}`, step }));
    if (stored.description.valid) stages.push({ name: 'valid', step: stages.length });
    for (const { name, step } of stages) await expectAccurateShift(run, exact, name, step);
    await run.language.close();
  });
});

async function expectAccurateShift(run: OpenRun, exact: StoredTensors, stage: string, step: number): Promise<void> {
  const statistics = stage === 'valid' ? 'valid.norm.' : `${stage}.state.`;
  const editor = await storedEditor(run, {
    parameters: stateBefore(step),
    moments: (group) => {
      const normalizer = stage === 'valid' ? '' : 'normalizer.';
      return storedDeviation(run.file, `${statistics}${networkPrefix(group)}${normalizer}`);
    },
  });
  const chunks = await publishedCapture(run, editor, `${stage}.edit`);
  const rows = sumRows(chunks.map((chunk) => chunk.rows));
  const solved = await editor.solve(run.editable, chunks, rows);
  for (const [layer, shift] of solved.shift) {
    const name = `${stage}.param_shift.${layer}`;
    expectAccurate(name, await floats(run.editable, shift), run.file.numbers(name), exact.numbers(name));
  }
  solved.release();
  for (const chunk of chunks) editor.releaseChunk(run.editable, chunk);
  editor.close(run.editable.runtime);
}

function expectAccurate(name: string, ours: Float32Array, published: Float64Array, exact: Float64Array): void {
  const [own, theirs] = [largestDeviation(ours, exact), largestDeviation(published, exact)];
  const relative = (error: number) => (error / largestValue(exact)).toExponential(1);
  console.log(`${name}: of the largest value, error ${relative(own)}, published ${relative(theirs)}`);
  expect.soft(ours.length, name).toBe(exact.length);
  expect.soft(own, name).toBeLessThanOrEqual(allowance * theirs);
}
