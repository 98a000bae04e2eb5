// Padded batches of claims for classifiers: one verdict each, at the first token.

import { i64, type TensorOf } from '../tensor.js';
import type { AskedBatch } from './asked-batch.js';
import { padRows } from './padding.js';
import type { TokenPair } from './tuple.js';

/** One answer row for each claim: its first token. */
export type ClaimBatch = AskedBatch<{
  /** [batch, tokens], the segment of each token: all 0, a claim is one segment */
  readonly tokenTypes: TensorOf<'i64'>;
  /** [batch, tokens], 0 .. tokens-1 */
  readonly positions: TensorOf<'i64'>;
}>;

/** `pairs` holds at least one; the answer of each is the verdict's label. */
export function claimBatch(pairs: readonly TokenPair[], padId = 0): ClaimBatch {
  if (pairs.length === 0) throw new RangeError('claimBatch: a batch needs at least one claim');
  if (pairs.some(({ prompt, answer }) => prompt.length === 0 || answer.length !== 1)) {
    throw new RangeError('claimBatch: a claim needs tokens and one label');
  }
  const size = pairs.length;
  const { ids, mask } = padRows(
    pairs.map(({ prompt }) => prompt),
    padId,
  );
  const tokens = ids.shape[1]!;
  const flat = Array.from({ length: size * tokens }, (_, at) => at);
  const first = pairs.map((_, b) => b * tokens);
  return {
    size,
    tensors: {
      tokenIds: ids,
      tokenTypes: i64(
        flat.map(() => 0),
        ids.shape,
      ),
      positions: i64(
        flat.map((at) => at % tokens),
        ids.shape,
      ),
      attentionMask: mask,
      answerRows: i64(first, [size]),
      labels: i64(
        pairs.map(({ answer }) => answer[0]!),
        [size],
      ),
    },
    answerCounts: pairs.map(() => 1),
  };
}
