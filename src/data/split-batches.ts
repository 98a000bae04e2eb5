// Examples into batches for a kind of model, and the places of each batch's sequences in the list it was made from.

import type { ModelKind } from '../util/model-kind.js';
import { type BatchOptions, type DecoderBatch, decoderBatch } from './batch.js';
import { type ClaimBatch, claimBatch } from './claim-batch.js';
import { inputLength, type TokenPair } from './tuple.js';
import { type TwoSidedBatch, twoSidedBatch } from './two-sided-batch.js';

/** A batch as one kind of model reads it. */
export type TokenBatch = DecoderBatch | ClaimBatch | TwoSidedBatch;

type MakeBatch = (pairs: readonly TokenPair[], options: BatchOptions) => TokenBatch;

const makers: Readonly<Record<ModelKind, MakeBatch>> = {
  decoder: decoderBatch,
  classifier: (pairs, { padId }) => claimBatch(pairs, padId),
  'encoder-decoder': (pairs, { padId }) => twoSidedBatch(pairs, padId),
};

/** One batch of all `pairs`, of which there is at least one. Sides of padding and positions are a decoder's choice only. */
export function makeBatch(kind: ModelKind, pairs: readonly TokenPair[], options: BatchOptions = {}): TokenBatch {
  return makers[kind](pairs, options);
}

/** A batch and the places of its sequences in the list it was made from. */
export interface IndexedBatch {
  readonly batch: TokenBatch;
  readonly indices: readonly number[];
}

/** How many sequences go together, and how they are padded. */
export interface SplitOptions extends BatchOptions {
  readonly kind: ModelKind;
  /** Sequences in a batch at most. */
  readonly batchSize: number;
  /** Padded tokens in a batch at most, so that memory is bounded whatever the lengths. A longer sequence goes alone. */
  readonly maxTokens?: number;
  /** Sequences of like length together (less padding), the longest first, so that a lack of memory shows at once. */
  readonly sortByLength?: boolean;
}

/** Batches of token ids for a kind of model, in the order of the list or by length. */
export function splitIntoBatches(pairs: readonly TokenPair[], options: SplitOptions): IndexedBatch[] {
  const lengths = pairs.map((pair) => inputLength(pair, options.kind));
  const order = pairs.map((_, index) => index);
  if (options.sortByLength) order.sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  const groups: number[][] = [];
  let longest = 0;
  for (const index of order) {
    const group = groups.at(-1);
    longest = Math.max(longest, lengths[index]!);
    const fits =
      group && group.length < options.batchSize && longest * (group.length + 1) <= (options.maxTokens ?? Infinity);
    if (fits) group.push(index);
    else {
      groups.push([index]);
      longest = lengths[index]!;
    }
  }
  return groups.map((indices) => ({
    batch: makeBatch(
      options.kind,
      indices.map((index) => pairs[index]!),
      options,
    ),
    indices,
  }));
}
