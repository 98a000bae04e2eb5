// Padded batches for encoder-decoders: the prompt on the encoder's side, the answer on the decoder's.

import { i64, type TensorOf } from '../tensor.js';
import type { AskedBatch } from './asked-batch.js';
import { padRows } from './padding.js';
import type { TokenPair } from './tuple.js';

/** Every real token of the decoder is an answer row, flat index b*decoderTokens + t. */
export type TwoSidedBatch = AskedBatch<{
  /** [batch, decoderTokens], the start token, then the answer without its last token */
  readonly decoderIds: TensorOf<'i64'>;
}>;

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
