// Batches of random tokens of one shape, as a kind of model reads them.

import { splitIntoBatches, type TokenBatch } from '../../data/split-batches.js';
import type { TokenPair } from '../../data/tuple.js';
import type { ModelDefinition } from '../../models/model.js';
import type { Random } from '../../util/random.js';

export interface BatchShape {
  /** Sequences at once, at most. */
  readonly size: number;
  /** Tokens that a decoder reads, the answer's but the last among them; another model's prompt has as many as a decoder's. */
  readonly tokens: number;
  /** Of a fact checker, whose answer is a verdict: 1. */
  readonly answerTokens: number;
}

/** `count` sequences in batches. */
export function randomBatches(
  count: number,
  { size, tokens, answerTokens }: BatchShape,
  { kind, vocabularySize }: Pick<ModelDefinition, 'kind' | 'vocabularySize'>,
  random: Random,
): TokenBatch[] {
  const ids = (length: number) => Array.from({ length }, () => random.integer(vocabularySize));
  const pairs = Array.from(
    { length: count },
    (): TokenPair => ({
      prompt: ids(tokens - answerTokens + 1),
      answer: kind === 'classifier' ? [random.integer(2)] : ids(answerTokens),
    }),
  );
  return splitIntoBatches(pairs, { kind, batchSize: size, sortByLength: false }).map(({ batch }) => batch);
}
