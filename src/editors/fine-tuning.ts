// Plain fine-tuning of the same layers, the baseline: Adam on the mean loss of all edits, over all of them at every step. What is
// learnt is the shift, which starts at zero.

import { type AdamMoments, adamStep, defaultAdam, zeroMoments } from '../engine/adam.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import type { Resident } from '../engine/runtime.js';
import { asShift } from '../engine/weight-shift.js';
import { zeros } from '../tensor.js';
import { type AnswerBatch, answerCount, type ComputeShiftOptions, type Editor } from './editor.js';

/** How long and how fast is fine-tuned. */
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
    const { steps } = this.#settings;
    const { runtime } = model;
    let shift = new Map<string, Resident>();
    const moments = new Map<string, AdamMoments>();
    for (const { name, keySize, valueSize } of model.layers) {
      shift.set(name, await runtime.upload(zeros([keySize, valueSize]), { move: true }));
      moments.set(name, await zeroMoments(runtime, [keySize, valueSize]));
    }
    for (let step = 1; step <= steps && batches.length > 0; step++) {
      const weights = await model.shifted(shift);
      const gradients = await meanGradient(model, weights, batches, options.signal);
      model.releaseWeights(weights);
      shift = await this.#update(model, shift, gradients, { moments, step });
      options.onProgress?.({ done: step, total: steps });
    }
    for (const { first, second } of moments.values()) runtime.release(first, second);
    return shift;
  }

  /** The next shift; the old one and the gradients are released, the moments replaced. */
  async #update(
    model: EditableModel,
    shift: LayerTensors,
    gradients: LayerTensors,
    { moments, step }: { readonly moments: Map<string, AdamMoments>; readonly step: number },
  ): Promise<Map<string, Resident>> {
    const { learningRate } = this.#settings;
    const next = new Map<string, Resident>();
    for (const { name, orientation } of model.layers) {
      const parameter = shift.get(name)!;
      const gradient = await asShift(model.runtime, gradients.get(name)!, orientation);
      const request = { parameter, gradient, moments: moments.get(name)!, learningRate, gradientScale: 1 };
      const updated = await adamStep(model.runtime, { ...request, step, settings: defaultAdam });
      model.runtime.release(parameter);
      next.set(name, updated.parameter);
      moments.set(name, updated.moments);
    }
    return next;
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
