// Runs an editable model as a whole: one session for each computation's frozen part and one for its live part. Edited weights
// are inputs, the base ones are kept beside the runtime. Knows no editor.

import { parameterInput } from '../graph/emit.js';
import type { Partition } from '../graph/partition.js';
import type { Program } from '../graph/program.js';
import type { EditableLayer } from '../models/model.js';
import { scalar, type TensorOf } from '../tensor.js';
import type { FrozenCache } from './frozen-cache.js';
import type { LayerTensors } from './layer-tensors.js';
import { type LanguageModelPrograms, stackHeight, weightName } from './lm-programs.js';
import type { FrozenBatch, GradientRequest, LossGradient, Memory, Predictions, StepOutputs } from './model-answers.js';
import { batchDims, type ModelBatch } from './model-batch.js';
import type { CaptureRequest, FreezeOptions, ModelSchedule, StepRequest } from './model-schedule.js';
import type { OpenModel } from './open-model.js';
import { pickFeeds } from './program-sequence.js';
import type { Compiled, Feed, Resident, RunResult, WeightBinding } from './runtime.js';
import { residentWeights } from './weight-feeds.js';
import { addShift } from './weight-shift.js';

interface Computation {
  readonly frozen: Compiled;
  readonly live: Compiled;
}

/** One run of a live part. */
interface LiveRun {
  readonly name: string;
  readonly cut: () => Partition;
  readonly frozen: FrozenBatch;
  readonly weights: LayerTensors;
  readonly feeds?: Readonly<Record<string, Feed>>;
  readonly keep?: readonly string[];
}

/** A live run with the frozen one before it. */
interface CaptureRun extends Omit<LiveRun, 'frozen'>, Pick<FreezeOptions, 'cached'> {
  readonly batch: ModelBatch;
  readonly counts: CaptureRequest['counts'];
}

export class WholeSchedule implements ModelSchedule {
  readonly base: LayerTensors;
  readonly #model: OpenModel;
  readonly #layers: readonly EditableLayer[];
  readonly #programs: LanguageModelPrograms;
  readonly #cache: FrozenCache | undefined;
  readonly #frozenBinding: WeightBinding;
  readonly #liveBinding: WeightBinding;
  readonly #computations = new Map<string, Promise<Computation>>();

  private constructor(
    model: OpenModel,
    layers: readonly EditableLayer[],
    programs: LanguageModelPrograms,
    base: LayerTensors,
    cache: FrozenCache | undefined,
  ) {
    this.#model = model;
    this.#layers = layers;
    this.#programs = programs;
    this.base = base;
    this.#cache = cache;
    const edited = new Set(layers.map(weightName));
    this.#frozenBinding = model.binding((name) => !model.isMapped(name));
    this.#liveBinding = model.binding((name) => edited.has(name) || this.#isShared(name));
  }

  static async open(
    model: OpenModel,
    layers: readonly EditableLayer[],
    programs: LanguageModelPrograms,
    cache?: FrozenCache,
  ): Promise<WholeSchedule> {
    const base = new Map<string, Resident>();
    for (const layer of layers)
      base.set(layer.name, await model.runtime.upload(await model.read(weightName(layer)), { move: true }));
    return new WholeSchedule(model, layers, programs, base, cache);
  }

  async shifted(shift: LayerTensors): Promise<LayerTensors> {
    const weights = new Map(this.base);
    for (const { name, orientation } of this.#layers) {
      const change = shift.get(name);
      if (change) weights.set(name, await addShift(this.#model.runtime, this.base.get(name)!, change, orientation));
    }
    return weights;
  }

  freeze(batch: ModelBatch): Promise<FrozenBatch> {
    return this.#freeze(batch, 'predict', () => this.#programs.predict());
  }

  async #freeze(
    batch: ModelBatch,
    name: string,
    cut: () => Partition,
    { extra = {}, cached = true }: FreezeOptions = {},
  ): Promise<FrozenBatch> {
    const { frozen } = await this.#computation(name, cut);
    const whole = (some: ModelBatch) => this.#frozenRun(frozen, some, extra);
    const small = async (program: Program, some: ModelBatch) =>
      this.#frozenRun(await this.#model.runtime.compile(program, this.#frozenBinding), some, extra);
    const cache = cached ? this.#cache : undefined;
    const crossing = await (cache?.freeze(batch, { outputs: frozen.program.outputs, whole, small }) ?? whole(batch));
    return { batch, frozenId: frozen.id, crossing, dims: batchDims(batch) };
  }

  async #frozenRun(
    frozen: Compiled,
    batch: ModelBatch,
    extra: Readonly<Record<string, Feed>>,
  ): Promise<Record<string, Resident>> {
    const given = await residentWeights(this.#model, frozen, (parameter) => !this.#model.isMapped(parameter));
    const feeds = pickFeeds(frozen, { ...batch.tensors, ...extra, ...given });
    const result = await this.#model.runtime.run(frozen, feeds, { keep: 'all', dims: batchDims(batch) });
    const names = [...frozen.program.outputs.keys()];
    return Object.fromEntries(names.map((output) => [output, result.kept(output)]));
  }

  #release({ crossing }: FrozenBatch): void {
    this.#model.runtime.release(...Object.values(crossing));
  }

  async capture(batch: ModelBatch, { tokens, scale, weights, counts }: CaptureRequest) {
    const cut = () => this.#programs.capture(tokens);
    const keep = counts.flatMap((_, group) => [`keys:${group}`, `valueGradients:${group}`]);
    const feeds = { lossScale: scalar(scale) };
    const result = await this.#captureRun({ name: `capture ${tokens}`, cut, batch, counts, weights, feeds, keep });
    const rows = counts.map((_, group) => ({
      keys: result.kept(`keys:${group}`),
      valueGradients: result.kept(`valueGradients:${group}`),
    }));
    return { loss: result.host('loss').data[0] as number, rows };
  }

  async keys(batch: ModelBatch, { tokens, weights, counts }: Omit<CaptureRequest, 'scale'>): Promise<Resident[]> {
    const keep = counts.map((_, group) => `keys:${group}`);
    const cut = () => this.#programs.keys(tokens);
    const run = { name: `keys ${tokens}`, cut, batch, counts, weights, keep };
    const result = await this.#captureRun({ ...run, cached: false });
    return keep.map((name) => result.kept(name));
  }

  /** Freezes for this run alone. */
  async #captureRun({ batch, counts, cached = true, ...run }: CaptureRun): Promise<RunResult> {
    const heights = counts.map((own, group) => [stackHeight(group), own.reduce((sum, count) => sum + count, 0)]);
    const cold = await this.#freeze(batch, run.name, run.cut, { cached });
    const frozen = { ...cold, dims: { ...cold.dims, ...Object.fromEntries(heights) } };
    try {
      return await this.#live({ ...run, frozen });
    } finally {
      this.#release(frozen);
    }
  }

  async lossGradient(
    frozen: FrozenBatch,
    weights: LayerTensors,
    { scale, before, sums }: GradientRequest,
  ): Promise<LossGradient> {
    const kind = before ? 'divergence' : 'answer';
    const accumulate = sums !== undefined;
    const name = `${kind} gradient ${accumulate}`;
    const cut = () => this.#programs.lossGradient(kind, accumulate);
    const feeds: Record<string, Feed> = { lossScale: scalar(scale) };
    if (before) feeds.logitsBefore = before;
    for (const [layer, sum] of sums ?? []) feeds[`sum:${layer}`] = sum;
    const keep = this.#layers.map((layer) => `gradient:${layer.name}`);
    const result = await this.#live({ name, cut, frozen, weights, feeds, keep });
    if (sums) this.#model.runtime.release(...sums.values());
    const gradients = new Map(this.#layers.map((layer) => [layer.name, result.kept(`gradient:${layer.name}`)]));
    return { loss: result.host('loss').data[0] as number, gradients };
  }

  async logits(frozen: FrozenBatch, weights: LayerTensors): Promise<Resident> {
    const cut = () => this.#programs.logits();
    return (await this.#live({ name: 'logits', cut, frozen, weights, keep: ['logits'] })).kept('logits');
  }

  async predict(frozen: FrozenBatch, weights: LayerTensors): Promise<Predictions> {
    const result = await this.#live({ name: 'predict', cut: () => this.#programs.predict(), frozen, weights });
    return {
      predicted: result.host<TensorOf<'i64'>>('predicted').data,
      nll: result.host<TensorOf<'f32'>>('nll').data,
    };
  }

  async step<K extends keyof StepOutputs>(batch: ModelBatch, { mode, output, weights, earlier }: StepRequest<K>) {
    const name = `step ${mode} ${output}`;
    const cut = () => this.#programs.step(mode, output);
    const feeds = Object.fromEntries(earlier);
    const { live } = await this.#computation(name, cut);
    const keep = [...live.program.outputs.keys()].filter((kept) => kept !== output);
    const frozen = await this.#freeze(batch, name, cut, { extra: feeds, cached: false });
    try {
      const result = await this.#live({ name, cut, frozen, weights, feeds, keep });
      const memory: Memory = new Map(keep.map((kept) => [kept, result.kept(kept)]));
      return { said: result.host<StepOutputs[K]>(output), memory };
    } finally {
      this.#release(frozen);
      this.#model.runtime.release(...earlier.values());
    }
  }

  async #live({ name, cut, frozen, weights, feeds = {}, keep = [] }: LiveRun): Promise<RunResult> {
    const { live, frozen: needed } = await this.#computation(name, cut);
    if (needed.id !== frozen.frozenId)
      throw new TypeError(`the batch was frozen for another computation than '${name}'`);
    const edited = Object.fromEntries(
      [...weights].map(([layer, weight]) => [parameterInput(`${layer}.weight`), weight]),
    );
    const shared = await residentWeights(this.#model, live, (parameter) => this.#isShared(parameter), this.base);
    const all = { ...frozen.batch.tensors, ...frozen.crossing, ...shared, ...edited, ...feeds };
    return this.#model.runtime.run(live, pickFeeds(live, all), { keep, dims: frozen.dims });
  }

  /** Whether a weight is read once and given to every live program. */
  #isShared(parameter: string): boolean {
    return this.#model.isFloat32(parameter) || !this.#model.isMapped(parameter);
  }

  #computation(name: string, cut: () => Partition): Promise<Computation> {
    const known = this.#computations.get(name) ?? this.#compile(cut());
    this.#computations.set(name, known);
    return known;
  }

  async #compile({ frozen, live }: Partition): Promise<Computation> {
    const { runtime } = this.#model;
    return {
      frozen: await runtime.compile(frozen, this.#frozenBinding),
      live: await runtime.compile(live, this.#liveBinding),
    };
  }

  close(): void {
    this.#model.runtime.release(...this.base.values());
  }
}
