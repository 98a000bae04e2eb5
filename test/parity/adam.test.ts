// Adam on the stored gradients of every editing run in the golden folder. Fed with our own gradients it could not be compared:
// where a gradient is rounding noise, so is the step's sign.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AdamMoments, adamStep, defaultAdam, zeroMoments } from '../../src/engine/adam.js';
import { openRuntime } from '../../src/engine/open-runtime.js';
import type { Runtime } from '../../src/engine/runtime.js';
import { expectClose, expectWithin } from './closeness.js';
import { type EditingRun, editingRuns } from './golden-folder.js';
import { floats, stateBefore } from './stored-editor.js';
import { StoredTensors } from './stored-tensors.js';
import { reportAbsence } from './testable.js';

/** Absolute: steps are of the order of the learning rate, 1e-3. */
const stateTolerance = 2e-6;

/** Of the largest average. */
const averageTolerance = 1e-5;

/** The published norm clipping divides by the norm plus this. */
const clippingEpsilon = 1e-6;

const runs = editingRuns();
reportAbsence(runs, 'editing runs');

// Needs no model: every run of the folder can be tested.
describe.each(runs)('$model.name $label', (run) => {
  let runtime: Runtime;
  let file: StoredTensors;
  beforeAll(async () => {
    runtime = await openRuntime({ device: 'cpu' });
    file = await StoredTensors.open(`${run.folder}/${run.label}.safetensors`);
  });
  afterAll(() => runtime.close());

  it('parameters after every step, averages after the last', async () => {
    const parameters = learning(file);
    expect(parameters.length).toBeGreaterThan(0);
    for (const parameter of parameters) await expectParameter(runtime, file, run, parameter);
  });
});

/** Parameters that have a gradient, with their network's prefix. */
function learning(file: StoredTensors): string[] {
  return file.names.flatMap((name) => (name.startsWith('step0.grad.') ? [name.slice('step0.grad.'.length)] : []));
}

async function expectParameter(
  runtime: Runtime,
  file: StoredTensors,
  { label, description }: EditingRun,
  parameter: string,
): Promise<void> {
  let moments = await zeroMoments(runtime, file.shape(`init.${parameter}`));
  for (const step of description.steps.keys()) {
    const before = await runtime.upload(file.float32(`${stateBefore(step)}.${parameter}`));
    const next = await adamStep(runtime, {
      parameter: before,
      gradient: await runtime.upload(file.float32(`step${step}.grad.${parameter}`)),
      moments,
      learningRate: description.config.meta_lr,
      gradientScale: clipping(file.number(`step${step}.total_norm`), description.config.max_grad_norm),
      step: step + 1,
      settings: defaultAdam,
    });
    const name = `step${step}.state.${parameter}`;
    expectWithin(`${label} ${name}`, await floats({ runtime }, next.parameter), file.numbers(name), stateTolerance);
    runtime.release(before, next.parameter);
    moments = next.moments;
  }
  await expectAverages(runtime, file, parameter, moments);
}

function clipping(norm: number, limit: number): number {
  return Math.min(1, limit / (norm + clippingEpsilon));
}

async function expectAverages(
  runtime: Runtime,
  file: StoredTensors,
  parameter: string,
  { first, second }: AdamMoments,
): Promise<void> {
  for (const [average, moment] of [['exp_avg', first] as const, ['exp_avg_sq', second] as const]) {
    const name = `opt.${average}.${parameter}`;
    if (file.has(name)) expectClose(name, await floats({ runtime }, moment), file.numbers(name), averageTolerance);
    runtime.release(moment);
  }
}
