// Scaled dot-product attention over rows of a batch, and the additive masks that go with it.

import { add, causalMask, input, matMul, mul, reshape, softmax, sub, transpose } from '../graph/build.js';
import { type Dim, multiplyDims } from '../graph/dim.js';
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
  /** Heads of k and v, each used by heads / keyValueHeads neighbouring heads of q. Default: `heads`. */
  readonly keyValueHeads?: number;
  /** Multiplies the scores before the softmax. */
  readonly scale: number;
  /** Added to the scores: [batch, 1, tokens, tokens]. */
  readonly mask: Value;
  /** Applied to queries and to keys by head: [batch, heads, tokens, headSize] -> the same. */
  readonly place?: (x: Value) => Value;
}

/**
 * softmax(scale q k^T + mask) v for each head. q and the result are [batch*tokens, heads*headSize], k and v
 * [batch*tokens, keyValueHeads*headSize].
 */
export function attend(q: Value, k: Value, v: Value, options: AttentionOptions): Value {
  const { heads, keyValueHeads = heads, scale, mask, place = (x) => x } = options;
  const keys = place(splitHeads(k, keyValueHeads)); // [batch, keyValueHeads, tokens, headSize]
  const queries = stackGroups(place(splitHeads(q, heads)), keyValueHeads);
  const scores = unstackGroups(matMul(queries, keys, { transposeB: true }), heads); // [batch, heads, tokens, tokens]
  const weights = stackGroups(softmax(add(mul(scores, scale), mask)), keyValueHeads);
  return mergeHeads(unstackGroups(matMul(weights, splitHeads(v, keyValueHeads)), heads));
}

/**
 * [batch, heads, tokens, n] -> [batch, keyValueHeads, heads/keyValueHeads * tokens, n]: the queries of all heads that share a
 * key head, one after another, so that no key is copied.
 */
function stackGroups(x: Value, keyValueHeads: number): Value {
  const [batch, heads, tokens, n] = x.shape as [Dim, number, Dim, Dim];
  return reshape(x, [batch, keyValueHeads, multiplyDims(heads / keyValueHeads, tokens), n]);
}

/** The reverse of {@link stackGroups}. */
function unstackGroups(x: Value, heads: number): Value {
  const [batch, , , n] = x.shape as [Dim, number, Dim, Dim];
  return reshape(x, [batch, heads, 'tokens', n]);
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
