// Trains a hyper-network editor: meta steps, clipping, Adam. Its state goes in and out as named tensors; knows no files.

import type { HyperEditor } from '../editors/hyper-editor.js';
import type { ResidentNetwork } from '../editors/resident-network.js';
import { type AdamMoments, adamStep, defaultAdam, zeroMoments } from '../engine/adam.js';
import type { EditableModel } from '../engine/editable-model.js';
import { lazyDownload, type Resident, type Runtime } from '../engine/runtime.js';
import type { LazyTensor } from '../tensor.js';
import { type MetaBatches, type MetaStepOptions, type MetaStepResult, metaStep } from './meta-step.js';

export interface MetaTrainerOptions extends MetaStepOptions {
  /** Learning rate of Adam. */
  readonly metaRate: number;
  readonly maxGradientNorm: number;
}

/** Adam's averages by name: `adam.first.N.PARAMETER` and `adam.second.N.PARAMETER`, N the network. */
export type OptimizerTensors = ReadonlyMap<string, LazyTensor>;

export class MetaTrainer {
  readonly #model: EditableModel;
  readonly #editor: HyperEditor;
  readonly #options: MetaTrainerOptions;
  readonly #moments: Map<string, AdamMoments>[];
  #step: number;

  private constructor(
    model: EditableModel,
    editor: HyperEditor,
    options: MetaTrainerOptions,
    moments: Map<string, AdamMoments>[],
    step: number,
  ) {
    this.#model = model;
    this.#editor = editor;
    this.#options = options;
    this.#moments = moments;
    this.#step = step;
  }

  /** Adam's averages start at zero unless `state` has them. */
  static async open(
    model: EditableModel,
    editor: HyperEditor,
    options: MetaTrainerOptions,
    state: { readonly step: number; readonly optimizer: OptimizerTensors } = { step: 0, optimizer: new Map() },
  ): Promise<MetaTrainer> {
    const moments: Map<string, AdamMoments>[] = [];
    for (const [at, network] of editor.networks.entries()) {
      const own = new Map<string, AdamMoments>();
      for (const [name, { shape }] of network.parameters) {
        own.set(name, await restoreMoments(model.runtime, state.optimizer, `${at}.${name}`, shape));
      }
      moments.push(own);
    }
    return new MetaTrainer(model, editor, options, moments, state.step);
  }

  /** Steps done. */
  get step(): number {
    return this.#step;
  }

  /** One step on these batches, learning round `rounds` of an edit. */
  async train(batches: MetaBatches, rounds = 1): Promise<MetaStepResult> {
    const result = await metaStep(this.#model, this.#editor, batches, { ...this.#options, rounds });
    const start = performance.now();
    const gradientScale = Math.min(1, this.#options.maxGradientNorm / (result.gradientNorm + 1e-6));
    this.#step++;
    for (const [at, network] of this.#editor.networks.entries()) {
      await this.#update(network, this.#moments[at]!, result.gradients[at]!, gradientScale);
    }
    this.#options.onStage?.('update', (performance.now() - start) / 1000);
    return result;
  }

  async #update(
    network: ResidentNetwork,
    moments: Map<string, AdamMoments>,
    gradients: ReadonlyMap<string, Resident>,
    gradientScale: number,
  ): Promise<void> {
    for (const [name, gradient] of gradients) {
      const next = await adamStep(this.#model.runtime, {
        parameter: network.parameters.get(name)!,
        gradient,
        moments: moments.get(name)!,
        learningRate: this.#options.metaRate,
        gradientScale,
        step: this.#step,
        settings: defaultAdam,
      });
      network.replaceParameter(name, next.parameter);
      moments.set(name, next.moments);
    }
  }

  /** To be read before the next step. */
  optimizerTensors(): Map<string, LazyTensor> {
    const tensors = new Map<string, LazyTensor>();
    for (const [at, moments] of this.#moments.entries()) {
      for (const [name, { first, second }] of moments) {
        tensors.set(`adam.first.${at}.${name}`, lazyDownload(this.#model.runtime, first));
        tensors.set(`adam.second.${at}.${name}`, lazyDownload(this.#model.runtime, second));
      }
    }
    return tensors;
  }

  close(): void {
    for (const moments of this.#moments) {
      for (const { first, second } of moments.values()) this.#model.runtime.release(first, second);
    }
  }
}

async function restoreMoments(
  runtime: Runtime,
  state: OptimizerTensors,
  name: string,
  shape: readonly number[],
): Promise<AdamMoments> {
  const [first, second] = [state.get(`adam.first.${name}`), state.get(`adam.second.${name}`)];
  if (!first || !second) return zeroMoments(runtime, shape);
  return {
    first: await runtime.upload(await first.read(), { move: true }),
    second: await runtime.upload(await second.read(), { move: true }),
  };
}
