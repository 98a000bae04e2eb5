// What is asked of an editable model, and what it answers.

import type { TensorOf } from '../tensor.js';
import type { LayerTensors } from './layer-tensors.js';
import type { ModelBatch } from './model-batch.js';
import type { Resident } from './runtime.js';

/** A batch whose frozen part has been computed. Release it when done. */
export interface FrozenBatch {
  readonly batch: ModelBatch;
  /** The frozen computation that made it: live ones of the same frozen part can use it. */
  readonly frozenId: number;
  readonly crossing: Readonly<Record<string, Resident>>;
  /** The named dimensions that the batch fixes. */
  readonly dims: Readonly<Record<string, number>>;
}

/** Of the layers of one shape, layer after layer. */
export interface KeyStack {
  /** [rows, keySize] */
  readonly keys: Resident;
  /** Rows of each layer, in the group's order. */
  readonly counts: readonly number[];
}

/** Keys of some layers, and the gradient of the loss for their outputs at the same tokens. */
export interface CapturedRows extends KeyStack {
  /** [rows, valueSize] */
  readonly valueGradients: Resident;
}

/** What one batch of edits gave: the summed loss, and the rows of each group of layers. */
export interface Capture {
  readonly loss: number;
  readonly rows: readonly CapturedRows[];
}

/** The loss of one batch and its gradient for each edited weight. */
export interface LossGradient {
  readonly loss: number;
  /** In the checkpoint's layout. */
  readonly gradients: LayerTensors;
}

/** Which loss, how it is scaled, and what it is added to. */
export interface GradientRequest {
  /** Factor of the summed token losses: 1 / (number of answer tokens that the mean is over). */
  readonly scale: number;
  /** Reference logits: the loss is then KL(before || after) instead of the answers' cross-entropy. */
  readonly before?: Resident;
  /** Gradients of earlier batches to add to; they are released. */
  readonly sums?: LayerTensors;
}

/** What a model says at the answer rows of one batch, teacher forced. */
export interface Predictions {
  /** The most likely token at each answer row. */
  readonly predicted: BigInt64Array;
  /** -log p of the label at each answer row. */
  readonly nll: Float32Array;
}

/** Keys and values of attention of all tokens that were read, by name; resident. */
export type Memory = ReadonlyMap<string, Resident>;

/** What can be asked of a step of writing. */
export interface StepOutputs {
  /** [answers], the most likely token */
  readonly predicted: TensorOf<'i64'>;
  /** [answers, vocabulary] */
  readonly logits: TensorOf<'f32'>;
}
