// One training step of a hyper-network editor: edit many facts at once, see what the edited model says of rephrased and
// unrelated prompts, and turn its weight gradients into gradients of the hyper-networks. Knows no files and no data sets.

import { type AnswerBatch, answerCount } from '../editors/editor.js';
import type { HyperEditor, RowChunk, SolvedEdit } from '../editors/hyper-editor.js';
import type { NetworkResidents } from '../editors/resident-network.js';
import { globalNorm } from '../engine/adam.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import { sumRows } from '../engine/row-counts.js';
import { addShifts } from '../engine/weight-shift.js';

/** The batches of one step. */
export interface MetaBatches {
  readonly edits: readonly AnswerBatch[];
  readonly rephrasings: readonly AnswerBatch[];
  readonly unrelated: readonly AnswerBatch[];
}

/**
 * How token losses become the meta loss. `set`: one mean over all answer tokens, whatever the batches. `published`: the sum
 * over batches of each batch's mean, as the published code does it (for parity; it makes the step depend on the batch size).
 */
export type Reduction = 'set' | 'published';

export interface MetaStepOptions {
  /** Factor of the locality loss. */
  readonly localityWeight: number;
  readonly reduction?: Reduction;
  /** The step learns the last of so many rounds; those before it are made with the networks as they are. Default 1. */
  readonly rounds?: number;
  /** Leave the running statistics as they are (parity tests inject them). */
  readonly freezeMoments?: boolean;
  /** Called when a stage ends, with its time. */
  readonly onStage?: (stage: MetaStage, seconds: number) => void;
}

export const metaStages = ['cache', 'predict', 'generalisation', 'locality', 'learn', 'update'] as const;
export type MetaStage = (typeof metaStages)[number];

export interface MetaStepResult {
  /** By batch; sum them for the loss. */
  readonly editLosses: readonly number[];
  readonly generalisationLosses: readonly number[];
  readonly localityLosses: readonly number[];
  /** By network; owned by the caller. */
  readonly gradients: readonly NetworkResidents[];
  /** Norm over all gradients. */
  readonly gradientNorm: number;
}

/** Hooks for those who want to look inside a step (parity tests). What they are given is released after they return. */
export interface MetaStepObserver {
  solved?(shift: LayerTensors): Promise<void>;
  weightGradients?(gradients: LayerTensors): Promise<void>;
}

export async function metaStep(
  model: EditableModel,
  editor: HyperEditor,
  batches: MetaBatches,
  options: MetaStepOptions,
  observer: MetaStepObserver = {},
): Promise<MetaStepResult> {
  const time = stageTimer(options);
  const start = await startWeights(model, editor, batches.edits, options);
  const chunks = await time('cache', () => captureAll(model, editor, batches.edits, start.weights, options));
  const edit = await time('predict', () => solveAll(model, editor, chunks));
  const weights = await shiftFrom(model, start, edit.shift);
  await observer.solved?.(edit.shift);
  const general = await time('generalisation', () => answerGradients(model, weights, batches.rephrasings, options));
  const local = await time('locality', () =>
    divergenceGradients(model, weights, batches.unrelated, options, general.gradients),
  );
  model.releaseWeights(weights);
  await observer.weightGradients?.(local.gradients!);
  const gradients = await time('learn', () => editor.learn(model, chunks, edit, local.gradients!));
  edit.release();
  for (const chunk of chunks) editor.releaseChunk(model, chunk);
  const gradientNorm = await globalNorm(
    model.runtime,
    gradients.flatMap((network) => [...network.values()]),
  );
  const editLosses = chunks.map(({ loss }) => loss);
  return { editLosses, generalisationLosses: general.losses, localityLosses: local.losses, gradients, gradientNorm };
}

/** Where the learnt round starts: the base weights, or those that earlier rounds of the same edit have led to. */
interface Start {
  readonly weights: LayerTensors;
  readonly shift?: LayerTensors;
}

async function startWeights(
  model: EditableModel,
  editor: HyperEditor,
  edits: readonly AnswerBatch[],
  { rounds = 1 }: MetaStepOptions,
): Promise<Start> {
  if (rounds === 1) return { weights: model.base };
  const shift = await editor.computeShift(model, edits, { rounds: rounds - 1 });
  return { weights: await model.shifted(shift), shift };
}

/** The weights after the learnt round; the start is released. */
async function shiftFrom(model: EditableModel, { weights, shift }: Start, change: LayerTensors): Promise<LayerTensors> {
  if (!shift) return model.shifted(change);
  const total = await addShifts(model.runtime, shift, change);
  const shifted = await model.shifted(total);
  model.runtime.release(...total.values(), ...shift.values());
  model.releaseWeights(weights);
  return shifted;
}

async function captureAll(
  model: EditableModel,
  editor: HyperEditor,
  batches: readonly AnswerBatch[],
  weights: LayerTensors,
  { reduction, freezeMoments, rounds = 1 }: MetaStepOptions,
): Promise<RowChunk[]> {
  const chunks: RowChunk[] = [];
  for (const batch of batches) {
    chunks.push(
      await editor.capture(model, batch, { weights, scale: reduction === 'published' ? 1 / answerCount(batch) : 1 }),
    );
  }
  // Rows of later rounds are those of facts that took already; the statistics are those of facts to be edited.
  if (!freezeMoments && rounds === 1) for (const chunk of chunks) await editor.observe(chunk);
  return chunks;
}

function solveAll(model: EditableModel, editor: HyperEditor, chunks: readonly RowChunk[]): Promise<SolvedEdit> {
  return editor.solve(model, chunks, sumRows(chunks.map(({ rows }) => rows)));
}

interface SummedGradients {
  readonly losses: number[];
  readonly gradients: LayerTensors | undefined;
}

async function answerGradients(
  model: EditableModel,
  weights: LayerTensors,
  batches: readonly AnswerBatch[],
  options: MetaStepOptions,
): Promise<SummedGradients> {
  const scale = batchScale(batches, options.reduction);
  const losses: number[] = [];
  let sums: LayerTensors | undefined;
  for (const batch of batches) {
    const frozen = await model.freeze(batch);
    const { loss, gradients } = await model.lossGradient(frozen, weights, {
      scale: scale(batch),
      ...(sums ? { sums } : {}),
    });
    model.releaseFrozen(frozen);
    losses.push(loss);
    sums = gradients;
  }
  return { losses, gradients: sums };
}

/** KL(before || after) on unrelated prompts, added to the gradients so far. The frozen part runs once for both passes. */
async function divergenceGradients(
  model: EditableModel,
  weights: LayerTensors,
  batches: readonly AnswerBatch[],
  options: MetaStepOptions,
  start: LayerTensors | undefined,
): Promise<SummedGradients> {
  const scale = batchScale(batches, options.reduction);
  const losses: number[] = [];
  let sums = start;
  for (const batch of batches) {
    const frozen = await model.freeze(batch);
    const before = await model.logits(frozen, model.base);
    const request = { scale: options.localityWeight * scale(batch), before, ...(sums ? { sums } : {}) };
    const { loss, gradients } = await model.lossGradient(frozen, weights, request);
    model.runtime.release(before);
    model.releaseFrozen(frozen);
    losses.push(options.localityWeight === 0 ? 0 : loss / options.localityWeight);
    sums = gradients;
  }
  return { losses, gradients: sums };
}

function batchScale(batches: readonly AnswerBatch[], reduction: Reduction = 'set'): (batch: AnswerBatch) => number {
  if (reduction === 'published') return (batch) => 1 / answerCount(batch);
  const total = batches.reduce((sum, batch) => sum + answerCount(batch), 0);
  return () => 1 / total;
}

function stageTimer({ onStage }: MetaStepOptions) {
  return async <T>(stage: MetaStage, work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work();
    onStage?.(stage, (performance.now() - start) / 1000);
    return result;
  };
}
