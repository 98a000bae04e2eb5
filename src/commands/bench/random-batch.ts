// Batches of random tokens of one shape.

import { type DecoderBatch, decoderBatch } from '../../data/batch.js';
import type { Random } from '../../util/random.js';

export interface BatchShape {
  readonly size: number;
  /** Tokens that the model reads, the answer's but the last among them. */
  readonly tokens: number;
  readonly answerTokens: number;
}

function randomBatch({ size, tokens, answerTokens }: BatchShape, vocabulary: number, random: Random): DecoderBatch {
  const ids = (count: number) => Array.from({ length: count }, () => random.integer(vocabulary));
  const pairs = Array.from({ length: size }, () => ({
    prompt: ids(tokens - answerTokens + 1),
    answer: ids(answerTokens),
  }));
  return decoderBatch(pairs);
}

/** `count` sequences in batches of at most `size`. */
export function randomBatches(count: number, shape: BatchShape, vocabulary: number, random: Random): DecoderBatch[] {
  const batches: DecoderBatch[] = [];
  for (let done = 0; done < count; done += shape.size) {
    batches.push(randomBatch({ ...shape, size: Math.min(shape.size, count - done) }, vocabulary, random));
  }
  return batches;
}
