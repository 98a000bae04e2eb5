// Padded batches for decoder-only models, and the way back from a batch's rows to the examples they came from.

import { f32, i64, type TensorOf } from '../tensor.js';
import type { AskedBatch } from './asked-batch.js';
import type { TokenPair } from './tuple.js';

/** Prompt and answer without its last token in one row; each answer token is the label of the row before it. */
export type DecoderBatch = AskedBatch<{
  /** [batch, tokens] */
  readonly positions: TensorOf<'i64'>;
}>;

export interface BatchOptions {
  /** Default: right. */
  readonly padSide?: 'left' | 'right';
  /** Default: 0. */
  readonly padId?: number;
  /**
   * `from-mask` (default) counts real tokens from 0, so that padding changes nothing. `from-padding` is 0..tokens-1 whatever is
   * real: what a GPT-2 computes when it is given left padding and no positions.
   */
  readonly positions?: 'from-mask' | 'from-padding';
}

/** One sequence before padding; a label of `noLabel` asks for nothing at that token. */
interface Sequence {
  readonly ids: readonly number[];
  readonly labels: readonly number[];
}

/** Marks a token without a label. */
const noLabel = -100;

/** Input is prompt + answer[:-1]; each answer token is the label of the token before it. `pairs` holds at least one. */
export function decoderBatch(pairs: readonly TokenPair[], options: BatchOptions = {}): DecoderBatch {
  if (pairs.length === 0) throw new RangeError('decoderBatch: a batch needs at least one sequence');
  return padSequences(pairs.map(asSequence), options);
}

function asSequence({ prompt, answer }: TokenPair): Sequence {
  if (prompt.length === 0 || answer.length === 0) throw new RangeError('decoderBatch: a prompt or an answer is empty');
  const silent = Array.from({ length: prompt.length - 1 }, () => noLabel);
  return { ids: [...prompt, ...answer.slice(0, -1)], labels: [...silent, ...answer] };
}

function padSequences(
  sequences: readonly Sequence[],
  { padSide = 'right', padId = 0, positions = 'from-mask' }: BatchOptions,
): DecoderBatch {
  const tokens = Math.max(...sequences.map(({ ids }) => ids.length));
  const pad = (row: readonly number[], filler: number): number[] => {
    const padding = Array.from({ length: tokens - row.length }, () => filler);
    return padSide === 'left' ? [...padding, ...row] : [...row, ...padding];
  };
  const ones = ({ ids }: Sequence) => ids.map(() => 1);
  const upTo = Array.from({ length: tokens }, (_, t) => t);
  return decoderBatchFromPadded({
    shape: [sequences.length, tokens],
    inputIds: sequences.flatMap(({ ids }) => pad(ids, padId)),
    attentionMask: sequences.flatMap((sequence) => pad(ones(sequence), 0)),
    labels: sequences.flatMap(({ labels }) => pad(labels, noLabel)),
    ...(positions === 'from-padding' ? { positionIds: sequences.flatMap(() => upTo) } : {}),
  });
}

/** A batch that is padded already. `labels` are shifted: labels[b, t] is what the logits at [b, t] must predict. */
export interface PaddedSequences {
  readonly shape: readonly [batch: number, tokens: number];
  readonly inputIds: readonly number[];
  readonly attentionMask: readonly number[];
  readonly labels: readonly number[];
  /** Default: real tokens counted from 0; padding on the left has 1, as in generation, on the right the last real position. */
  readonly positionIds?: readonly number[];
}

/** @throws RangeError when a list does not have one number per token */
export function decoderBatchFromPadded({
  shape,
  inputIds,
  attentionMask,
  labels,
  positionIds,
}: PaddedSequences): DecoderBatch {
  if (labels.length !== shape[0] * shape[1]) throw new RangeError(`labels: [${shape}] expected, got ${labels.length}`);
  const answerRows = labels.flatMap((label, at) => (label === noLabel ? [] : [at]));
  const answerCounts = Array.from({ length: shape[0] }, () => 0);
  for (const row of answerRows) answerCounts[Math.floor(row / shape[1])]!++;
  return {
    size: shape[0],
    tensors: {
      tokenIds: i64(inputIds, shape),
      positions: i64(positionIds ?? countedPositions(attentionMask, shape), shape),
      attentionMask: f32(attentionMask, shape),
      answerRows: i64(answerRows, [answerRows.length]),
      labels: i64(
        answerRows.map((row) => labels[row]!),
        [answerRows.length],
      ),
    },
    answerCounts,
  };
}

function countedPositions(mask: readonly number[], [batch, tokens]: readonly [number, number]): number[] {
  const positions: number[] = [];
  for (let b = 0; b < batch; b++) {
    let real = 0;
    for (let t = 0; t < tokens; t++) {
      real += mask[b * tokens + t]!;
      positions.push(real > 0 ? real - 1 : Math.min(1, tokens - 1));
    }
  }
  return positions;
}
