// What a way of running an editable model offers: the computations of editing, over weights that only it knows how to hold.

import type { MemoryMode } from '../models/model.js';
import type { LayerTensors } from './layer-tensors.js';
import type { TokenChoice } from './lm-programs.js';
import type { FrozenBatch, GradientRequest, LossGradient, Memory, Predictions, StepOutputs } from './model-answers.js';
import type { ModelBatch } from './model-batch.js';
import type { Feed, Resident } from './runtime.js';

export interface CaptureRequest {
  readonly tokens: TokenChoice;
  /** Factor of the summed answer loss. */
  readonly scale: number;
  readonly weights: LayerTensors;
  /** Rows of each layer, by group. */
  readonly counts: readonly (readonly number[])[];
}

export interface FreezeOptions {
  /** Fed besides the batch. */
  readonly extra?: Readonly<Record<string, Feed>>;
  /** Whether what was frozen before may be used again; not what is asked once. Default: yes. */
  readonly cached?: boolean;
}

export interface StepRequest<K extends keyof StepOutputs> {
  readonly mode: MemoryMode;
  readonly output: K;
  readonly weights: LayerTensors;
  /** Of the tokens before; released. */
  readonly earlier: Memory;
}

/** Sets of weights are those of {@link base} and {@link shifted}, of the same schedule. All residents that come back are the caller's. */
export interface ModelSchedule {
  /** The checkpoint's own weights. */
  readonly base: LayerTensors;
  /** W + S for each layer of `shift`, [keySize, valueSize] each; it may be released then. */
  shifted(shift: LayerTensors): Promise<LayerTensors>;
  /** Runs the frozen part for losses, logits and predictions. */
  freeze(batch: ModelBatch): Promise<FrozenBatch>;
  /** `batch` has the rows that are captured where a layer has no answers of its own. One entry per group of layers. */
  capture(
    batch: ModelBatch,
    request: CaptureRequest,
  ): Promise<{ loss: number; rows: readonly { keys: Resident; valueGradients: Resident }[] }>;
  /** Keys alone, forward only. One stack per group of layers. */
  keys(batch: ModelBatch, request: Omit<CaptureRequest, 'scale'>): Promise<readonly Resident[]>;
  lossGradient(frozen: FrozenBatch, weights: LayerTensors, request: GradientRequest): Promise<LossGradient>;
  /** [answers, vocabulary] */
  logits(frozen: FrozenBatch, weights: LayerTensors): Promise<Resident>;
  predict(frozen: FrozenBatch, weights: LayerTensors): Promise<Predictions>;
  step<K extends keyof StepOutputs>(
    batch: ModelBatch,
    request: StepRequest<K>,
  ): Promise<{ readonly said: StepOutputs[K]; readonly memory: Memory }>;
  /** Releases the base weights. */
  close(): void;
}
