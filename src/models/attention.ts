// Scaled dot-product attention over rows of a batch, and the additive masks that go with it.

import { add, causalMask, concat, input, matMul, mul, reshape, softmax, sub, transpose } from '../graph/build.js';
import { type Dim, multiplyDims } from '../graph/dim.js';
import { maskedScore, type Value } from '../graph/ops.js';
import type { MemoryMode } from './model.js';

/** The tokens of one side: an encoder-decoder has two. */
type TokenAxis = 'tokens' | 'decoderTokens';

/** [batch*tokens, heads*headSize] -> [batch, heads, tokens, headSize] */
function splitHeads(rows: Value, heads: number, tokens: TokenAxis): Value {
  const headSize = (rows.shape[1] as number) / heads;
  return transpose(reshape(rows, ['batch', tokens, heads, headSize]), [0, 2, 1, 3]);
}

/** [batch, heads, tokens, headSize] -> [batch*tokens, heads*headSize] */
function mergeHeads(x: Value): Value {
  const width = (x.shape[1] as number) * (x.shape[3] as number);
  return reshape(transpose(x, [0, 2, 1, 3]), [multiplyDims('batch', x.shape[2]!), width]);
}

export interface AttentionOptions {
  readonly heads: number;
  /** Heads of k and v, each used by heads / keyValueHeads neighbouring heads of q. Default: `heads`. */
  readonly keyValueHeads?: number;
  /** The axis of q, `tokens` by default. */
  readonly queries?: TokenAxis;
  /** The axis of k and v, `tokens` by default. */
  readonly keys?: TokenAxis;
  /** Multiplies the scores before the softmax. */
  readonly scale: number;
  /** Added to the scores: [batch, 1, tokens, tokens], [batch, 1, tokens, context] with a memory that is extended, or with a number for each head. */
  readonly mask: Value;
  /** Where keys and values are kept for later tokens. */
  readonly memory?: AttentionMemory;
  /** Applied to queries and to keys by head: [batch, heads, tokens, headSize] -> the same. */
  readonly place?: (x: Value) => Value;
}

/**
 * softmax(scale q k^T + mask) v for each head. q and the result are [batch*tokens, heads*headSize], k and v
 * [batch*tokens, keyValueHeads*headSize].
 */
export function attend(q: Value, k: Value, v: Value, options: AttentionOptions): Value {
  const { heads, keyValueHeads = heads, scale, mask, memory, place = (x) => x } = options;
  const { queries: queryAxis = 'tokens', keys: keyAxis = 'tokens' } = options;
  const own = {
    keys: place(splitHeads(k, keyValueHeads, keyAxis)),
    values: splitHeads(v, keyValueHeads, keyAxis),
  };
  const { keys, values } = memory?.extend(own) ?? own; // [batch, keyValueHeads, context, headSize]
  const queries = stackGroups(place(splitHeads(q, heads, queryAxis)), keyValueHeads);
  const scores = unstackGroups(matMul(queries, keys, { transposeB: true }), heads, queryAxis); // [batch, heads, tokens, context]
  const weights = stackGroups(softmax(add(mul(scores, scale), mask)), keyValueHeads);
  return mergeHeads(unstackGroups(matMul(weights, values), heads, queryAxis));
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
function unstackGroups(x: Value, heads: number, tokens: TokenAxis): Value {
  const [batch, , , n] = x.shape as [Dim, number, Dim, Dim];
  return reshape(x, [batch, heads, tokens, n]);
}

/** 0 where a token may be seen, `maskedScore` where it is padding: [batch, 1, 1, tokens]. */
export function paddingMask(tokens = 'tokens'): Value {
  const mask = reshape(input('attentionMask', ['batch', tokens]), ['batch', 1, 1, tokens]);
  return mul(sub(1, mask), maskedScore);
}

interface KeysAndValues {
  /** Turned to their positions already. */
  readonly keys: Value;
  readonly values: Value;
}

/** The keys and values of all tokens so far, block after block: outputs of one step of writing and inputs of the next. */
export class AttentionMemory {
  readonly #mode: MemoryMode;
  /** Per block `memory.N.keys` and `memory.N.values`, [batch, keyValueHeads, tokens or context, headSize]. */
  readonly outputs = new Map<string, Value>();
  #block = 0;

  constructor(mode: MemoryMode) {
    this.#mode = mode;
  }

  /** Called once for each block, in order. */
  extend({ keys, values }: KeysAndValues): KeysAndValues {
    const block = this.#block++;
    return { keys: this.#join(`memory.${block}.keys`, keys), values: this.#join(`memory.${block}.values`, values) };
  }

  #join(name: string, own: Value): Value {
    const [batch, heads, , size] = own.shape as [Dim, Dim, Dim, Dim];
    const earlier = () => input(name, [batch, heads, 'past', size]);
    const all = this.#mode === 'extend' ? concat([earlier(), own], 2, 'context') : own;
    this.outputs.set(name, all);
    return all;
  }
}

/** What the attention of a causal model sees: options of {@link attend} that are the same for all blocks of a graph. */
export type Sight = Pick<AttentionOptions, 'mask' | 'memory'>;

/** Padding and future tokens switched off; with a memory that is extended, `attentionMask` is [batch, context]. */
export function causalSight(mode?: MemoryMode): Sight {
  const context = mode === 'extend' ? 'context' : 'tokens';
  const mask = add(paddingMask(context), causalMask('tokens', context));
  return { mask, ...(mode ? { memory: new AttentionMemory(mode) } : {}) };
}
