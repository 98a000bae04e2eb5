// Plain fine-tuning of the same layers, the baseline: Adam on the mean loss of all edits, over all of them at every step.

import { type AdamMoments, adamStep, defaultAdam, zeroMoments } from '../engine/adam.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import type { Resident } from '../engine/runtime.js';
import { asShift, subtract } from '../engine/weight-shift.js';
import { type AnswerBatch, answerCount, type ComputeShiftOptions, type Editor } from './editor.js';

export interface FineTuningSettings {
  /** Passes over all edits, each one step of Adam. */
  readonly steps: number;
  readonly learningRate: number;
}

/** Plain fine-tuning of the edited layers on all facts, with Adam: the baseline that needs no training. */
export class FineTuning implements Editor {
  readonly name = 'ft';
  readonly #settings: FineTuningSettings;

  constructor(settings: FineTuningSettings) {
    this.#settings = settings;
  }

  async computeShift(
    model: EditableModel,
    batches: readonly AnswerBatch[],
    options: ComputeShiftOptions = {},
  ): Promise<LayerTensors> {
    const { steps, learningRate } = this.#settings;
    const moments = new Map<string, AdamMoments>();
    for (const [name, { shape }] of model.base) moments.set(name, await zeroMoments(model.runtime, shape));
    let weights = model.base;
    for (let step = 1; step <= steps && batches.length > 0; step++) {
      const gradients = await meanGradient(model, weights, batches, options.signal);
      const next = new Map<string, Resident>();
      for (const [name, parameter] of weights) {
        const request = {
          parameter,
          gradient: gradients.get(name)!,
          moments: moments.get(name)!,
          learningRate,
          gradientScale: 1,
        };
        const updated = await adamStep(model.runtime, { ...request, step, settings: defaultAdam });
        next.set(name, updated.parameter);
        moments.set(name, updated.moments);
      }
      model.releaseWeights(weights);
      weights = next;
      options.onProgress?.({ done: step, total: steps });
    }
    for (const { first, second } of moments.values()) model.runtime.release(first, second);
    return differences(model, weights);
  }
}

async function meanGradient(
  model: EditableModel,
  weights: LayerTensors,
  batches: readonly AnswerBatch[],
  signal: AbortSignal | undefined,
): Promise<LayerTensors> {
  const scale = 1 / batches.reduce((sum, batch) => sum + answerCount(batch), 0);
  let sums: LayerTensors | undefined;
  for (const batch of batches) {
    signal?.throwIfAborted();
    const frozen = await model.freeze(batch);
    sums = (await model.lossGradient(frozen, weights, { scale, ...(sums ? { sums } : {}) })).gradients;
    model.releaseFrozen(frozen);
  }
  return sums!;
}

/** W' - W for each layer, as shifts. Releases W'. */
async function differences(model: EditableModel, weights: LayerTensors): Promise<LayerTensors> {
  const shift = new Map<string, Resident>();
  for (const { name, orientation } of model.layers) {
    const change = await subtract(model.runtime, weights.get(name)!, model.base.get(name)!);
    shift.set(name, await asShift(model.runtime, change, orientation));
  }
  model.releaseWeights(weights);
  return shift;
}
