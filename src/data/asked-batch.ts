// What a padded batch of examples holds for every kind of model: tokens, and which rows are asked for what. Knows no model.

import type { TensorOf } from '../tensor.js';

/** `Inputs` are what one kind of model reads besides. */
export interface AskedBatch<Inputs> {
  /** Sequences. */
  readonly size: number;
  readonly tensors: Inputs & {
    /** [batch, tokens], of the encoder where there is one beside a decoder */
    readonly tokenIds: TensorOf<'i64'>;
    /** [batch, tokens], 1 = real, 0 = padding */
    readonly attentionMask: TensorOf<'f32'>;
    /** [answers], flat index of the token whose output must be the label: of a decoder's tokens where there is one */
    readonly answerRows: TensorOf<'i64'>;
    /** [answers], tokens; of a classifier 1 = SUPPORTS, 0 = REFUTES */
    readonly labels: TensorOf<'i64'>;
  };
  /** Answer rows of each sequence, in order. */
  readonly answerCounts: readonly number[];
}
