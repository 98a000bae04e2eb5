// Runs an editable model block after block over weights that stay mapped in their files: one small session per block and
// direction, so that no more than one block's weights are ever held as float32. Knows no editor.

import type { Program } from '../graph/program.js';
import type { EditableLayer } from '../models/model.js';
import { scalar, type Tensor, type TensorOf } from '../tensor.js';
import {
  type BlockComputation,
  type BlockPrograms,
  gradientName,
  keysName,
  shiftInput,
  valueGradientName,
} from './block-programs.js';
import type { FrozenCache } from './frozen-cache.js';
import { groupByShape, type LayerGroup } from './layer-group.js';
import type { LayerTensors } from './layer-tensors.js';
import type { FrozenBatch, GradientRequest, LossGradient, Predictions, StepOutputs } from './model-answers.js';
import { batchDims, type ModelBatch } from './model-batch.js';
import type { CaptureRequest, FreezeOptions, ModelSchedule, StepRequest } from './model-schedule.js';
import type { OpenModel } from './open-model.js';
import { type ProgramSequence, runSequence, type SequenceResult, type SequenceRun } from './program-sequence.js';
import { residentMatrices } from './resident-matrix.js';
import type { Compiled, Feed, Resident, Runtime } from './runtime.js';
import { residentWeights } from './weight-feeds.js';

/** Its sets of weights are shifts, [keySize, valueSize] by layer: layers without one have their base weights. */
export class BlockSchedule implements ModelSchedule {
  readonly base: LayerTensors = new Map();
  readonly #runtime: Runtime;
  readonly #layers: readonly EditableLayer[];
  readonly #groups: readonly LayerGroup[];
  readonly #programs: BlockPrograms;
  readonly #cache: FrozenCache | undefined;
  /** Maps every weight that can be mapped, and gives the others. */
  readonly #weights: Pick<SequenceRun, 'binding' | 'givenWeights'>;
  readonly #computations = new Map<string, BlockComputation>();
  /** Texts of the frozen parts; their places are the ids. */
  readonly #frozenTexts: string[] = [];

  constructor(model: OpenModel, layers: readonly EditableLayer[], programs: BlockPrograms, cache?: FrozenCache) {
    const isGiven = (parameter: string) => !model.isMapped(parameter);
    this.#runtime = model.runtime;
    this.#layers = layers;
    this.#groups = groupByShape(layers);
    this.#programs = programs;
    this.#cache = cache;
    this.#weights = {
      binding: model.binding(isGiven),
      givenWeights: (compiled: Compiled) => residentWeights(model, compiled, isGiven),
    };
  }

  /** Blocks add the shift where they use it. */
  async shifted(shift: LayerTensors): Promise<LayerTensors> {
    const kept = new Map<string, Resident>();
    for (const [layer, change] of shift) kept.set(layer, await this.#runtime.share(change));
    return kept;
  }

  freeze(batch: ModelBatch): Promise<FrozenBatch> {
    return this.#freeze(this.#predict(new Map()), batch);
  }

  async #freeze(
    computation: BlockComputation,
    batch: ModelBatch,
    { extra = {}, cached = true }: FreezeOptions = {},
  ): Promise<FrozenBatch> {
    const run = async (sequence: ProgramSequence, some: ModelBatch) => {
      const feeds = { ...some.tensors, ...extra };
      const { kept } = await runSequence(this.#runtime, sequence, { ...this.#weights, feeds, dims: batchDims(some) });
      return Object.fromEntries(kept);
    };
    const whole = (some: ModelBatch) => run(computation.frozen, some);
    const small = (program: Program, some: ModelBatch) => run(alone(program), some);
    const cache = cached ? this.#cache : undefined;
    const crossing = await (cache?.freeze(batch, { outputs: computation.frozenOutputs, whole, small }) ?? whole(batch));
    return { batch, dims: batchDims(batch), frozenId: this.#frozenId(computation), crossing };
  }

  /** Freezes for one run alone. */
  async #once<R>(
    computation: BlockComputation,
    batch: ModelBatch,
    options: FreezeOptions,
    run: (frozen: FrozenBatch) => Promise<R>,
  ): Promise<R> {
    const frozen = await this.#freeze(computation, batch, options);
    try {
      return await run(frozen);
    } finally {
      this.#runtime.release(...Object.values(frozen.crossing));
    }
  }

  capture(batch: ModelBatch, { tokens, scale, weights }: CaptureRequest) {
    const computation = this.#computation(`capture ${tokens}`, weights, (shifted) =>
      this.#programs.capture(tokens, shifted),
    );
    return this.#once(computation, batch, {}, async (frozen) => {
      const { host, kept } = await this.#live(computation, frozen, weights, { lossScale: scalar(scale) });
      const rows = [];
      for (const { layers } of this.#groups) {
        const keys = await this.#stack(layers, kept, keysName);
        rows.push({ keys, valueGradients: await this.#stack(layers, kept, valueGradientName) });
      }
      return { loss: lossOf(host), rows };
    });
  }

  keys(batch: ModelBatch, { tokens, weights }: Omit<CaptureRequest, 'scale'>): Promise<Resident[]> {
    const computation = this.#computation(`keys ${tokens}`, weights, (shifted) => this.#programs.keys(tokens, shifted));
    return this.#once(computation, batch, { cached: false }, async (frozen) => {
      const { kept } = await this.#live(computation, frozen, weights);
      const stacks: Resident[] = [];
      for (const { layers } of this.#groups) stacks.push(await this.#stack(layers, kept, keysName));
      return stacks;
    });
  }

  /** One layer's rows on top of the other's; the parts are released. */
  async #stack(
    layers: LayerGroup['layers'],
    kept: SequenceResult['kept'],
    nameOf: (layer: string) => string,
  ): Promise<Resident> {
    const parts = layers.map(({ name }) => kept.get(nameOf(name))!);
    if (parts.length === 1) return parts[0]!;
    const stacked = await residentMatrices(this.#runtime).stackRows(parts);
    this.#runtime.release(...parts);
    return stacked;
  }

  async step<K extends keyof StepOutputs>(batch: ModelBatch, { mode, output, weights, earlier }: StepRequest<K>) {
    const computation = this.#computation(`step ${mode} ${output}`, weights, (shifted) =>
      this.#programs.step(mode, output, shifted),
    );
    const fed = Object.fromEntries(earlier);
    try {
      return await this.#once(computation, batch, { extra: fed, cached: false }, async (frozen) => {
        const { host, kept } = await this.#live(computation, frozen, weights, fed);
        const said = (host.get(output) ?? (await this.#toHost(kept.get(output)!))) as StepOutputs[K];
        return { said, memory: new Map([...kept].filter(([name]) => name !== output)) };
      });
    } finally {
      this.#runtime.release(...earlier.values());
    }
  }

  async #toHost(resident: Resident): Promise<Tensor> {
    const tensor = await this.#runtime.download(resident);
    this.#runtime.release(resident);
    return tensor;
  }

  async lossGradient(
    frozen: FrozenBatch,
    weights: LayerTensors,
    { scale, before, sums }: GradientRequest,
  ): Promise<LossGradient> {
    const kind = before ? 'divergence' : 'answer';
    const accumulate = sums !== undefined;
    const computation = this.#computation(`${kind} ${accumulate}`, weights, (shifted) =>
      this.#programs.lossGradient(kind, shifted, accumulate),
    );
    const feeds = { lossScale: scalar(scale), ...(before ? { logitsBefore: before } : {}) };
    const handedOver = new Map([...(sums ?? [])].map(([layer, sum]) => [gradientName(layer), sum]));
    const { host, kept } = await this.#live(computation, frozen, weights, feeds, handedOver);
    const gradients = new Map(this.#layers.map(({ name }) => [name, kept.get(gradientName(name))!]));
    return { loss: lossOf(host), gradients };
  }

  async logits(frozen: FrozenBatch, weights: LayerTensors): Promise<Resident> {
    const computation = this.#computation('logits', weights, (shifted) => this.#programs.logits(shifted));
    return (await this.#live(computation, frozen, weights)).kept.get('logits')!;
  }

  async predict(frozen: FrozenBatch, weights: LayerTensors): Promise<Predictions> {
    const { host } = await this.#live(this.#predict(weights), frozen, weights);
    return {
      predicted: (host.get('predicted') as TensorOf<'i64'>).data,
      nll: (host.get('nll') as TensorOf<'f32'>).data,
    };
  }

  #predict(weights: LayerTensors): BlockComputation {
    return this.#computation('predict', weights, (shifted) => this.#programs.predict(shifted));
  }

  #computation(
    name: string,
    weights: LayerTensors,
    make: (shifted: ReadonlySet<string>) => BlockComputation,
  ): BlockComputation {
    const shifted = new Set(weights.keys());
    const key = `${name} ${[...shifted]}`;
    const computation = this.#computations.get(key) ?? make(shifted);
    this.#computations.set(key, computation);
    return computation;
  }

  #frozenId({ frozenText }: BlockComputation): number {
    const known = this.#frozenTexts.indexOf(frozenText);
    return known < 0 ? this.#frozenTexts.push(frozenText) - 1 : known;
  }

  #live(
    computation: BlockComputation,
    { batch, crossing, dims, frozenId }: FrozenBatch,
    weights: LayerTensors,
    extra: Readonly<Record<string, Feed>> = {},
    handedOver: ReadonlyMap<string, Resident> = new Map(),
  ): Promise<SequenceResult> {
    if (this.#frozenId(computation) !== frozenId) throw new TypeError('the batch was frozen for another computation');
    const shifts = Object.fromEntries([...weights].map(([layer, shift]) => [shiftInput(layer), shift]));
    const feeds = { ...batch.tensors, ...crossing, ...shifts, ...extra };
    return runSequence(this.#runtime, computation.live, { ...this.#weights, feeds, handedOver, dims });
  }

  /** It holds nothing of its own. */
  close(): void {}
}

const alone = (program: Program): ProgramSequence => {
  return { programs: [program], host: new Set(), kept: new Set(program.outputs.keys()) };
};

const lossOf = (host: ReadonlyMap<string, Tensor>) => host.get('loss')!.data[0] as number;
