// Trains a language model on batches of answers: all parameters live beside the runtime, Adam with clipping, any learning
// rate per step. Knows no files: its state goes in and out as named tensors.

import { type AnswerBatch, answerCount } from '../editors/editor.js';
import { type AdamMoments, adamStep, defaultAdam, globalNorm, zeroMoments } from '../engine/adam.js';
import { trainingProgram } from '../engine/lm-programs.js';
import type { Compiled, Resident, Runtime } from '../engine/runtime.js';
import { allFed } from '../engine/weight-shift.js';
import { parameterInput } from '../graph/emit.js';
import type { ModelDefinition, ParameterSpec } from '../models/model.js';
import { scalar, type TensorOf, zeros } from '../tensor.js';
import type { Random } from '../util/random.js';

export type NamedTensors = ReadonlyMap<string, TensorOf<'f32'>>;

/** Everything that a resumed training needs: parameters under their names, Adam's averages under `adam.first.` and `adam.second.`. */
export interface LmTrainerState {
  readonly step: number;
  readonly tensors: NamedTensors;
}

export interface LmStepResult {
  /** Mean over the batch's answer tokens. */
  readonly loss: number;
  readonly gradientNorm: number;
}

export interface LmStepOptions {
  readonly learningRate: number;
  /** Gradients are scaled down to this norm. */
  readonly maxGradientNorm: number;
}

export class LmTrainer {
  readonly #runtime: Runtime;
  readonly #compiled: Compiled;
  readonly #parameters = new Map<string, Resident>();
  readonly #moments = new Map<string, AdamMoments>();
  #step = 0;

  private constructor(runtime: Runtime, compiled: Compiled) {
    this.#runtime = runtime;
    this.#compiled = compiled;
  }

  /** `tensors` holds at least every parameter; Adam's averages start at zero where they are absent. */
  static async open(
    runtime: Runtime,
    definition: ModelDefinition,
    { step, tensors }: LmTrainerState,
  ): Promise<LmTrainer> {
    const trainer = new LmTrainer(runtime, await runtime.compile(trainingProgram(definition), allFed));
    trainer.#step = step;
    for (const { name, shape } of definition.parameters) {
      trainer.#parameters.set(name, await runtime.upload(tensors.get(name)!));
      const [first, second] = [tensors.get(`adam.first.${name}`), tensors.get(`adam.second.${name}`)];
      const moments = first && second && { first: await runtime.upload(first), second: await runtime.upload(second) };
      trainer.#moments.set(name, moments ?? (await zeroMoments(runtime, shape)));
    }
    return trainer;
  }

  get step(): number {
    return this.#step;
  }

  async train(batch: AnswerBatch, { learningRate, maxGradientNorm }: LmStepOptions): Promise<LmStepResult> {
    const runtime = this.#runtime;
    const weights = [...this.#parameters].map(([name, weight]) => [parameterInput(name), weight] as const);
    const feeds = { ...batch.tensors, ...Object.fromEntries(weights), lossScale: scalar(1 / answerCount(batch)) };
    const names = [...this.#parameters.keys()];
    const result = await runtime.run(this.#compiled, feeds, { keep: names.map((name) => `gradient:${name}`) });
    const gradients = names.map((name) => result.kept(`gradient:${name}`));
    const gradientNorm = await globalNorm(runtime, gradients);
    const gradientScale = Math.min(1, maxGradientNorm / (gradientNorm + 1e-6));
    this.#step++;
    for (const [at, name] of names.entries()) {
      const parameter = this.#parameters.get(name)!;
      const request = {
        parameter,
        gradient: gradients[at]!,
        moments: this.#moments.get(name)!,
        learningRate,
        gradientScale,
      };
      const next = await adamStep(runtime, { ...request, step: this.#step, settings: defaultAdam });
      runtime.release(parameter);
      this.#parameters.set(name, next.parameter);
      this.#moments.set(name, next.moments);
    }
    return { loss: result.host('loss').data[0] as number, gradientNorm };
  }

  /** The parameters alone, by name. */
  async parameters(): Promise<Map<string, TensorOf<'f32'>>> {
    const tensors = new Map<string, TensorOf<'f32'>>();
    for (const [name, resident] of this.#parameters)
      tensors.set(name, await this.#runtime.download<TensorOf<'f32'>>(resident));
    return tensors;
  }

  async state(): Promise<LmTrainerState> {
    const tensors = await this.parameters();
    for (const [name, { first, second }] of this.#moments) {
      tensors.set(`adam.first.${name}`, await this.#runtime.download(first));
      tensors.set(`adam.second.${name}`, await this.#runtime.download(second));
    }
    return { step: this.#step, tensors };
  }
}

/** Fresh parameters as the model's definition says. */
export function initialWeights(parameters: readonly ParameterSpec[], random: Random): Map<string, TensorOf<'f32'>> {
  const fresh = ({ shape, initial }: ParameterSpec): TensorOf<'f32'> => {
    const tensor = zeros(shape);
    const draw = () => ('constant' in initial ? initial.constant : random.normal() * initial.deviation);
    for (let i = 0; i < tensor.data.length; i++) tensor.data[i] = draw();
    return tensor;
  };
  return new Map(parameters.map((spec) => [spec.name, fresh(spec)]));
}

/** Linear rise over `warmup` steps, then a cosine down to a tenth. */
export function learningRateAt(
  step: number,
  { peak, warmup, total }: { peak: number; warmup: number; total: number },
): number {
  if (step < warmup) return (peak * (step + 1)) / warmup;
  const progress = Math.min(1, (step - warmup) / Math.max(1, total - warmup));
  return peak * (0.1 + 0.45 * (1 + Math.cos(Math.PI * progress)));
}
