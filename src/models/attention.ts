// Scaled dot-product attention over rows of a batch, and the additive masks that go with it.

import { add, causalMask, input, matMul, mul, reshape, softmax, sub, transpose } from '../graph/build.js';
import { maskedScore, type Value } from '../graph/ops.js';

/** [batch*tokens, heads*headSize] -> [batch, heads, tokens, headSize] */
function splitHeads(rows: Value, heads: number): Value {
  const headSize = (rows.shape[1] as number) / heads;
  return transpose(reshape(rows, ['batch', 'tokens', heads, headSize]), [0, 2, 1, 3]);
}

/** [batch, heads, tokens, headSize] -> [batch*tokens, heads*headSize] */
function mergeHeads(x: Value): Value {
  const width = (x.shape[1] as number) * (x.shape[3] as number);
  return reshape(transpose(x, [0, 2, 1, 3]), ['batch*tokens', width]);
}

export interface AttentionOptions {
  readonly heads: number;
  /** Multiplies the scores before the softmax. */
  readonly scale: number;
  /** Added to the scores: [batch, 1, tokens, tokens]. */
  readonly mask: Value;
}

/** softmax(scale q k^T + mask) v for each head; all of q, k, v and the result are [batch*tokens, heads*headSize]. */
export function attend(q: Value, k: Value, v: Value, { heads, scale, mask }: AttentionOptions): Value {
  const scores = matMul(splitHeads(q, heads), splitHeads(k, heads), { transposeB: true }); // [batch, heads, tokens, tokens]
  const weights = softmax(add(mul(scores, scale), mask));
  return mergeHeads(matMul(weights, splitHeads(v, heads)));
}

/** 0 where a token may be seen, `maskedScore` where it is padding: [batch, 1, 1, tokens]. */
function paddingMask(): Value {
  const mask = reshape(input('attentionMask', ['batch', 'tokens']), ['batch', 1, 1, 'tokens']);
  return mul(sub(1, mask), maskedScore);
}

/** Padding and future tokens switched off: [batch, 1, tokens, tokens]. */
export function causalPaddingMask(): Value {
  return add(paddingMask(), causalMask('tokens'));
}
