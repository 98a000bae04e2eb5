// A language model with some layers opened for editing: captures, losses, weight gradients and predictions, for the base
// weights or for any shifted ones. Applying a shift makes new weights beside the base, so that undoing it is exact.
// How it runs, as a whole or block after block in little memory, is its schedule's business.

import type { EditableLayer } from '../models/model.js';
import { keepLargeBlocks, limitFreedBlocks, returnBlocksAtOnce } from './allocator.js';
import { BlockPrograms } from './block-programs.js';
import { BlockSchedule } from './block-schedule.js';
import { FrozenCache, type RecordStore } from './frozen-cache.js';
import { groupByShape, type LayerGroup } from './layer-group.js';
import type { LayerTensors } from './layer-tensors.js';
import { LanguageModelPrograms, type TokenChoice } from './lm-programs.js';
import type {
  Capture,
  FrozenBatch,
  GradientRequest,
  KeyStack,
  LossGradient,
  Memory,
  Predictions,
  StepOutputs,
} from './model-answers.js';
import { assertAnswersFollow, type ModelBatch, realTokens, withTapRows } from './model-batch.js';
import type { ModelSchedule } from './model-schedule.js';
import type { OpenModel } from './open-model.js';
import type { RowCounts } from './row-counts.js';
import type { Resident, Runtime } from './runtime.js';
import type { Running } from './schedule.js';
import { WholeSchedule } from './whole-schedule.js';

export type { LayerTensors } from './layer-tensors.js';
export type {
  Capture,
  CapturedRows,
  FrozenBatch,
  GradientRequest,
  LossGradient,
  Memory,
  Predictions,
} from './model-answers.js';
export type { ModelBatch } from './model-batch.js';

/** An open model whose edited layers are inputs: losses, gradients and predictions under any weights, the base ones untouched. */
export class EditableModel {
  readonly model: OpenModel;
  readonly layers: readonly EditableLayer[];
  /** The layers by shape, in order of first appearance. */
  readonly groups: readonly LayerGroup[];
  /** Whether {@link step} can be used: the model remembers what it has read. */
  readonly canStep: boolean;
  /** What was frozen of prompts before, where a place for it was given. */
  readonly cache: FrozenCache | undefined;
  readonly #programs: LanguageModelPrograms;
  readonly #schedule: ModelSchedule;

  private constructor(
    model: OpenModel,
    layers: readonly EditableLayer[],
    programs: LanguageModelPrograms,
    schedule: ModelSchedule,
    cache: FrozenCache | undefined,
  ) {
    this.model = model;
    this.cache = cache;
    this.layers = layers;
    this.groups = groupByShape(layers);
    this.canStep = programs.canStep;
    this.#programs = programs;
    this.#schedule = schedule;
  }

  /**
   * @param records where the frozen part of each prompt is kept for the next time
   * @internal
   */
  static async open(
    model: OpenModel,
    layers: readonly EditableLayer[],
    running: Running,
    records?: RecordStore,
  ): Promise<EditableModel> {
    const cache = records && new FrozenCache(model.runtime, records);
    const programs = new LanguageModelPrograms(model.definition, layers);
    setAllocator(running);
    const schedule =
      running.schedule === 'whole'
        ? await WholeSchedule.open(model, layers, programs, cache)
        : new BlockSchedule(model, layers, new BlockPrograms(programs, layers), cache);
    return new EditableModel(model, layers, programs, schedule, cache);
  }

  get runtime(): Runtime {
    return this.model.runtime;
  }

  /** The checkpoint's own weights. */
  get base(): LayerTensors {
    return this.#schedule.base;
  }

  /** W + S for each layer of `shift` ([keySize, valueSize] each); layers without one keep their base weight. */
  shifted(shift: LayerTensors): Promise<LayerTensors> {
    return this.#schedule.shifted(shift);
  }

  /** Releases weights made by {@link shifted}; base weights among them stay. */
  releaseWeights(weights: LayerTensors): void {
    const own = new Set([...this.base.values()].map(({ id }) => id));
    this.runtime.release(...[...weights.values()].filter(({ id }) => !own.has(id)));
  }

  /** Runs the frozen part for losses, logits and predictions. */
  freeze(batch: ModelBatch): Promise<FrozenBatch> {
    return this.#schedule.freeze(batch);
  }

  /** Releases what {@link freeze} made. */
  releaseFrozen({ crossing }: FrozenBatch): void {
    this.runtime.release(...Object.values(crossing));
  }

  /** The rows that a capture of this batch has for each layer. */
  rowCounts({ tensors }: ModelBatch, tokens: TokenChoice): RowCounts {
    const counts = { answers: tensors.answerRows!.shape[0]!, taps: realTokens(tensors.attentionMask!).length };
    return new Map([...this.#programs.capturedRows(tokens)].map(([layer, rows]) => [layer, counts[rows]]));
  }

  /** Whether a capture at the answers has one row for each answer token of this layer: of an encoder's, it has the prompt's. */
  hasAnswerRows(layer: string): boolean {
    return this.#programs.capturedRows('answers').get(layer) === 'answers';
  }

  #groupCounts(batch: ModelBatch, tokens: TokenChoice): number[][] {
    const counts = this.rowCounts(batch, tokens);
    return this.groups.map(({ layers }) => layers.map(({ name }) => counts.get(name)!));
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
    if (tokens === 'answers') assertAnswersFollow(batch);
    const counts = this.#groupCounts(batch, tokens);
    const { loss, rows } = await this.#schedule.capture(withTapRows(batch), { tokens, scale, weights, counts });
    return { loss, rows: rows.map((own, group) => ({ ...own, counts: counts[group]! })) };
  }

  /** Keys alone, of the base weights: forward only. */
  async keys(batch: ModelBatch, tokens: TokenChoice): Promise<KeyStack[]> {
    const counts = this.#groupCounts(batch, tokens);
    const stacks = await this.#schedule.keys(withTapRows(batch), { tokens, weights: this.base, counts });
    return stacks.map((keys, group) => ({ keys, counts: counts[group]! }));
  }

  /** The loss of one batch under `weights` and its gradient for each edited weight. */
  lossGradient(frozen: FrozenBatch, weights: LayerTensors, request: GradientRequest): Promise<LossGradient> {
    return this.#schedule.lossGradient(frozen, weights, request);
  }

  /** Logits at the answer rows, [answers, vocabulary], resident. */
  logits(frozen: FrozenBatch, weights: LayerTensors): Promise<Resident> {
    return this.#schedule.logits(frozen, weights);
  }

  /** The most likely token at each answer row, and how unlikely its label is. */
  predict(frozen: FrozenBatch, weights: LayerTensors): Promise<Predictions> {
    return this.#schedule.predict(frozen, weights);
  }

  /**
   * What comes next at the answer rows: of a whole batch, or of one that holds the new tokens only, with the memory of those before
   * them (its `attentionMask` is then [batch, all tokens]). The given memory is released; the new one is the caller's.
   */
  step<K extends keyof StepOutputs>(
    batch: ModelBatch,
    weights: LayerTensors,
    output: K,
    memory?: Memory,
  ): Promise<{ readonly said: StepOutputs[K]; readonly memory: Memory }> {
    const mode = memory ? 'extend' : 'keep';
    return this.#schedule.step(batch, { mode, output, weights, earlier: memory ?? new Map() });
  }

  /** Releases the base weights; the model itself stays open. */
  close(): void {
    this.#schedule.close();
  }
}

function setAllocator({ schedule, keepsFreedBytes }: Running): void {
  if (schedule === 'blocks') {
    if (keepsFreedBytes) keepLargeBlocks(keepsFreedBytes);
    else returnBlocksAtOnce();
  } else if (keepsFreedBytes !== undefined) limitFreedBlocks(keepsFreedBytes);
}
