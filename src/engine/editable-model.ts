// A language model with some layers opened for editing: captures, losses, weight gradients and predictions, for the base
// weights or for any shifted ones. Applying a shift makes new weights beside the base, so that undoing it is exact.
// It runs as a whole, or block after block in little memory, with the same results.

import { parameterInput } from '../graph/emit.js';
import type { Partition } from '../graph/partition.js';
import type { EditableLayer } from '../models/model.js';
import { scalar, type Tensor, type TensorOf } from '../tensor.js';
import { BlockPrograms } from './block-programs.js';
import { BlockSchedule, type LiveState } from './block-schedule.js';
import { groupByShape, type LayerGroup } from './layer-group.js';
import type { LayerTensors } from './layer-tensors.js';
import { LanguageModelPrograms, stackHeight, type TokenChoice } from './lm-programs.js';
import type {
  Capture,
  GradientRequest,
  LossGradient,
  Memory,
  Predictions,
  RowCounts,
  StepOutputs,
} from './model-answers.js';
import { batchDims, type ModelBatch, realTokens, withTapRows } from './model-batch.js';
import type { OpenModel } from './open-model.js';
import { pickFeeds } from './program-sequence.js';
import type { Compiled, Feed, Resident, RunResult, Runtime, WeightBinding } from './runtime.js';
import type { Schedule } from './schedule.js';
import { addShift } from './weight-shift.js';

export type { LayerTensors } from './layer-tensors.js';
export type { ModelBatch } from './model-batch.js';

interface Computation {
  readonly frozen: Compiled;
  readonly live: Compiled;
}

/** A batch whose frozen part has been computed. Release it when done. */
export interface FrozenBatch {
  readonly batch: ModelBatch;
  /** The frozen program that made it: live programs of the same frozen part can use it. */
  readonly frozenId: number;
  readonly crossing: Readonly<Record<string, Resident>>;
  readonly dims: Readonly<Record<string, number>>;
}

export type {
  Capture,
  CapturedRows,
  GradientRequest,
  LossGradient,
  Memory,
  Predictions,
  RowCounts,
} from './model-answers.js';

/** An open model whose edited layers are inputs: losses, gradients and predictions under any weights, the base ones untouched. */
export class EditableModel {
  readonly model: OpenModel;
  readonly layers: readonly EditableLayer[];
  /** The layers by shape, in order of first appearance. */
  readonly groups: readonly LayerGroup[];
  /** The checkpoint's own weights. */
  readonly base: LayerTensors;
  readonly schedule: Schedule;
  readonly #blocks: BlockSchedule | undefined;
  readonly #programs: LanguageModelPrograms;
  readonly #frozenBinding: WeightBinding;
  readonly #liveBinding: WeightBinding;
  readonly #computations = new Map<string, Promise<Computation>>();

  private constructor(model: OpenModel, layers: readonly EditableLayer[], base: LayerTensors, schedule: Schedule) {
    this.model = model;
    this.layers = layers;
    this.groups = groupByShape(layers);
    this.base = base;
    this.schedule = schedule;
    this.#programs = new LanguageModelPrograms(model.definition, layers);
    const edited = new Set(layers.map(({ name }) => `${name}.weight`));
    this.#frozenBinding = model.binding((name) => !model.isMapped(name));
    this.#liveBinding = model.binding((name) => edited.has(name) || this.#isShared(name));
    if (schedule === 'whole') return;
    const programs = new BlockPrograms(this.#programs, layers);
    const given = (compiled: Compiled) => this.#givenWeights(compiled);
    this.#blocks = new BlockSchedule(model.runtime, programs, this.#frozenBinding, given);
  }

  static async open(model: OpenModel, layers: readonly EditableLayer[], schedule: Schedule): Promise<EditableModel> {
    const base = new Map<string, Resident>();
    if (schedule === 'blocks') return new EditableModel(model, layers, base, schedule);
    for (const { name } of layers)
      base.set(name, await model.runtime.upload(await model.read(`${name}.weight`), { move: true }));
    return new EditableModel(model, layers, base, schedule);
  }

  get runtime(): Runtime {
    return this.model.runtime;
  }

  /** W + S for each layer of `shift` ([keySize, valueSize] each); layers without one keep their base weight. */
  async shifted(shift: LayerTensors): Promise<LayerTensors> {
    if (this.#blocks) return this.#blocks.keep(shift);
    const weights = new Map(this.base);
    for (const layer of this.layers) {
      const change = shift.get(layer.name);
      if (change)
        weights.set(layer.name, await addShift(this.runtime, this.base.get(layer.name)!, change, layer.orientation));
    }
    return weights;
  }

  /** Releases weights made by {@link shifted}; base weights among them stay. */
  releaseWeights(weights: LayerTensors): void {
    const own = new Set([...this.base.values()].map(({ id }) => id));
    this.runtime.release(...[...weights.values()].filter(({ id }) => !own.has(id)));
  }

  /** Runs the frozen part for losses, logits and predictions. */
  async freeze(batch: ModelBatch): Promise<FrozenBatch> {
    const dims = batchDims(batch);
    if (this.#blocks) return { batch, dims, ...(await this.#blocks.freeze({ tensors: batch.tensors, dims })) };
    return this.#freeze(batch, 'predict', () => this.#programs.predict());
  }

  async #freeze(
    batch: ModelBatch,
    name: string,
    cut: () => Partition,
    extra: Readonly<Record<string, Feed>> = {},
  ): Promise<FrozenBatch> {
    const { frozen } = await this.#computation(name, cut);
    const given = await this.#givenWeights(frozen);
    const feeds = pickFeeds(frozen, { ...batch.tensors, ...extra, ...given });
    const result = await this.runtime.run(frozen, feeds, { keep: 'all', dims: batchDims(batch) });
    const crossing = Object.fromEntries(
      [...frozen.program.outputs.keys()].map((output) => [output, result.kept(output)]),
    );
    return { batch, frozenId: frozen.id, crossing, dims: batchDims(batch) };
  }

  releaseFrozen({ crossing }: FrozenBatch): void {
    this.runtime.release(...Object.values(crossing));
  }

  /** The rows that a capture of this batch has for each layer. */
  rowCounts({ tensors }: ModelBatch, tokens: TokenChoice): RowCounts {
    const counts = { answers: tensors.answerRows!.shape[0]!, taps: realTokens(tensors.attentionMask!).length };
    return new Map([...this.#programs.capturedRows(tokens)].map(([layer, rows]) => [layer, counts[rows]]));
  }

  /**
   * Keys and value gradients under `weights` (the base weights by default) at the chosen tokens, for the summed answer loss times `scale`: one entry
   * per group of layers (see {@link groups}).
   */
  async capture(
    batch: ModelBatch,
    tokens: TokenChoice,
    scale: number,
    weights: LayerTensors = this.base,
  ): Promise<Capture> {
    if (this.#blocks) {
      const tapped = withTapRows(batch);
      const inputs = { tensors: tapped.tensors, dims: batchDims(tapped) };
      const { loss, rows } = await this.#blocks.capture(inputs, tokens, scale, {
        shifts: weights,
        groups: this.groups,
      });
      const heights = this.#groupCounts(batch, tokens);
      return { loss, rows: rows.map((own, group) => ({ ...own, counts: heights[group]! })) };
    }
    const name = `capture ${tokens}`;
    const cut = () => this.#programs.capture(tokens);
    const counts = this.#groupCounts(batch, tokens);
    const heights = counts.map((own, group) => [stackHeight(group), own.reduce((sum, count) => sum + count, 0)]);
    const cold = await this.#freeze(withTapRows(batch), name, cut);
    const frozen = { ...cold, dims: { ...cold.dims, ...Object.fromEntries(heights) } };
    try {
      const keep = this.groups.flatMap((_, group) => [`keys:${group}`, `valueGradients:${group}`]);
      const result = await this.#live(name, cut, frozen, weights, { lossScale: scalar(scale) }, keep);
      const rows = this.groups.map((_, group) => ({
        keys: result.kept(`keys:${group}`),
        valueGradients: result.kept(`valueGradients:${group}`),
        counts: counts[group]!,
      }));
      return { loss: result.host('loss').data[0] as number, rows };
    } finally {
      this.releaseFrozen(frozen);
    }
  }

  #groupCounts(batch: ModelBatch, tokens: TokenChoice): number[][] {
    const counts = this.rowCounts(batch, tokens);
    return this.groups.map(({ layers }) => layers.map(({ name }) => counts.get(name)!));
  }

  /** The loss of one batch under `weights` and its gradient for each edited weight. */
  async lossGradient(
    frozen: FrozenBatch,
    weights: LayerTensors,
    { scale, before, sums }: GradientRequest,
  ): Promise<LossGradient> {
    if (this.#blocks) {
      const request = { scale, ...(before ? { before } : {}), ...(sums ? { sums } : {}) };
      const { loss, gradient } = await this.#blocks.lossGradient(liveState(frozen, weights), request);
      return { loss, gradients: new Map(this.layers.map(({ name }) => [name, gradient(name)])) };
    }
    const kind = before ? 'divergence' : 'answer';
    const feeds: Record<string, Feed> = { lossScale: scalar(scale) };
    if (before) feeds.logitsBefore = before;
    for (const [name, sum] of sums ?? []) feeds[`sum:${name}`] = sum;
    const accumulate = sums !== undefined;
    const cut = () => this.#programs.lossGradient(kind, accumulate);
    const keep = this.layers.map(({ name }) => `gradient:${name}`);
    const result = await this.#live(`${kind} gradient ${accumulate}`, cut, frozen, weights, feeds, keep);
    if (sums) this.runtime.release(...sums.values());
    const gradients = new Map(this.layers.map(({ name }) => [name, result.kept(`gradient:${name}`)]));
    return { loss: result.host('loss').data[0] as number, gradients };
  }

  /** Logits at the answer rows, [answers, vocabulary], resident. */
  async logits(frozen: FrozenBatch, weights: LayerTensors): Promise<Resident> {
    if (this.#blocks) return this.#blocks.logits(liveState(frozen, weights));
    const result = await this.#live('logits', () => this.#programs.logits(), frozen, weights, {}, ['logits']);
    return result.kept('logits');
  }

  /** Whether {@link step} can be used: the model remembers what it has read. */
  get canStep(): boolean {
    return this.#programs.canStep;
  }

  /**
   * What comes next at the answer rows: of a whole batch, or of one that holds the new tokens only, with the memory of those before
   * them (its `attentionMask` is then [batch, all tokens]). The given memory is released; the new one is the caller's.
   */
  async step<K extends keyof StepOutputs>(
    batch: ModelBatch,
    weights: LayerTensors,
    output: K,
    memory?: Memory,
  ): Promise<{ readonly said: StepOutputs[K]; readonly memory: Memory }> {
    const mode = memory ? 'extend' : 'keep';
    if (this.#blocks) {
      const inputs = { tensors: batch.tensors, dims: batchDims(batch) };
      const step = await this.#blocks.step(inputs, mode, output, { shifts: weights, earlier: memory ?? new Map() });
      return { said: step.said as StepOutputs[K], memory: step.memory };
    }
    const name = `step ${mode} ${output}`;
    const cut = () => this.#programs.step(mode, output);
    const earlier = Object.fromEntries(memory ?? []);
    const { live } = await this.#computation(name, cut);
    const names = [...live.program.outputs.keys()].filter((kept) => kept !== output);
    const frozen = await this.#freeze(batch, name, cut, earlier);
    try {
      const result = await this.#live(name, cut, frozen, weights, earlier, names);
      const said = result.host<StepOutputs[K]>(output);
      return { said, memory: new Map(names.map((kept) => [kept, result.kept(kept)])) };
    } finally {
      this.releaseFrozen(frozen);
      this.runtime.release(...Object.values(earlier));
    }
  }

  async predict(frozen: FrozenBatch, weights: LayerTensors): Promise<Predictions> {
    if (this.#blocks) return predictions(await this.#blocks.predict(liveState(frozen, weights)));
    const result = await this.#live('predict', () => this.#programs.predict(), frozen, weights, {}, []);
    return predictions(new Map(['predicted', 'nll'].map((name) => [name, result.host(name)])));
  }

  async #live(
    name: string,
    cut: () => Partition,
    frozen: FrozenBatch,
    weights: LayerTensors,
    extra: Readonly<Record<string, Feed>>,
    keep: readonly string[],
  ): Promise<RunResult> {
    const { live, frozen: needed } = await this.#computation(name, cut);
    if (needed.id !== frozen.frozenId)
      throw new TypeError(`the batch was frozen for another computation than '${name}'`);
    const edited = Object.fromEntries(
      [...weights].map(([layer, weight]) => [parameterInput(`${layer}.weight`), weight]),
    );
    const shared = await this.#residentWeights(live, (parameter) => this.#isShared(parameter));
    const feeds = pickFeeds(live, { ...frozen.batch.tensors, ...frozen.crossing, ...shared, ...edited, ...extra });
    return this.runtime.run(live, feeds, { keep, dims: frozen.dims });
  }

  /** Whether a weight is read once and given to every live program. */
  #isShared(parameter: string): boolean {
    return this.model.isFloat32(parameter) || !this.model.isMapped(parameter);
  }

  /** Those of a frozen program's weights that cannot be mapped. */
  #givenWeights(compiled: Compiled): Promise<Record<string, Feed>> {
    return this.#residentWeights(compiled, (parameter) => !this.model.isMapped(parameter));
  }

  /** Those of a program's weights that are chosen and not edited. */
  async #residentWeights({ program }: Compiled, chosen: (parameter: string) => boolean): Promise<Record<string, Feed>> {
    const feeds: Record<string, Feed> = {};
    for (const {
      attributes: { name },
    } of program.parameters) {
      const edited = this.base.has(name.replace(/\.weight$/, ''));
      if (!edited && chosen(name)) feeds[parameterInput(name)] = await this.model.residentWeight(name);
    }
    return feeds;
  }

  #computation(name: string, cut: () => Partition): Promise<Computation> {
    const known = this.#computations.get(name) ?? this.#compile(cut());
    this.#computations.set(name, known);
    return known;
  }

  async #compile({ frozen, live }: Partition): Promise<Computation> {
    return {
      frozen: await this.runtime.compile(frozen, this.#frozenBinding),
      live: await this.runtime.compile(live, this.#liveBinding),
    };
  }

  /** Releases the base weights; the model itself stays open. */
  close(): void {
    this.runtime.release(...this.base.values());
  }
}

function predictions(host: ReadonlyMap<string, Tensor>): Predictions {
  return {
    predicted: (host.get('predicted') as TensorOf<'i64'>).data,
    nll: (host.get('nll') as TensorOf<'f32'>).data,
  };
}

function liveState({ batch, dims, frozenId, crossing }: FrozenBatch, shifts: LayerTensors): LiveState {
  return { batch: { tensors: batch.tensors, dims }, frozen: { frozenId, crossing }, shifts };
}
