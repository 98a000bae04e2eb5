// Padded batches for encoder-decoders: the prompt on the encoder's side, the answer on the decoder's.

import { i64, type TensorOf } from '../tensor.js';
import { padRows } from './padding.js';
import type { TokenPair } from './tuple.js';

export interface TwoSidedBatch {
  readonly size: number;
  readonly tensors: {
    /** [batch, tokens], the encoder's */
    readonly tokenIds: TensorOf<'i64'>;
    /** [batch, tokens], 1 = real, 0 = padding */
    readonly attentionMask: TensorOf<'f32'>;
    /** [batch, decoderTokens]: the start token, then the answer without its last token */
    readonly decoderIds: TensorOf<'i64'>;
    /** [answers], flat index b*decoderTokens + t of the decoder token whose logits must predict the label: every real one */
    readonly answerRows: TensorOf<'i64'>;
    /** [answers] */
    readonly labels: TensorOf<'i64'>;
  };
  /** Answer tokens of each sequence, in order. */
  readonly answerCounts: readonly number[];
}

/** What the decoder reads before it has written anything: T5's padding token. */
const startId = 0;

/** Decoder input is start + answer[:-1], as published; no end token is added to the labels. `pairs` holds at least one. */
export function twoSidedBatch(pairs: readonly TokenPair[], padId = 0): TwoSidedBatch {
  if (pairs.length === 0) throw new RangeError('twoSidedBatch: a batch needs at least one sequence');
  if (pairs.some(({ prompt, answer }) => prompt.length === 0 || answer.length === 0)) {
    throw new RangeError('twoSidedBatch: a prompt or an answer is empty');
  }
  const encoder = padRows(
    pairs.map(({ prompt }) => prompt),
    padId,
  );
  const { ids: decoderIds } = padRows(
    pairs.map(({ answer }) => [startId, ...answer.slice(0, -1)]),
    padId,
  );
  const width = decoderIds.shape[1]!;
  const answerRows = pairs.flatMap(({ answer }, b) => answer.map((_, t) => b * width + t));
  const labels = pairs.flatMap(({ answer }) => answer);
  return {
    size: pairs.length,
    tensors: {
      tokenIds: encoder.ids,
      attentionMask: encoder.mask,
      decoderIds,
      answerRows: i64(answerRows, [answerRows.length]),
      labels: i64(labels, [labels.length]),
    },
    answerCounts: pairs.map(({ answer }) => answer.length),
  };
}
