// What an edit did to prompts that have nothing to do with it, where the records bring no unrelated prompts of their own.

import type { BeforeAfter } from './evaluate.js';
import { agreement, mean, success } from './metrics.js';

/** Locality measured on prompts of ours, where the records bring none. */
export interface NeutralScores {
  readonly prompts: number;
  /** Share of answer tokens predicted as before the edit, its mean over prompts. */
  readonly unchanged: number;
  /** Prompts whose whole answer the model had right before the edit. */
  readonly known: number;
  /** LS of the known prompts after the edit (before it is 1); absent where none was known. */
  readonly ls?: number;
  /** Share of prompts whose free generation is the same text as before; absent without generations. */
  readonly sameText?: number;
}

/** Free generations of every neutral prompt. */
export interface NeutralTexts {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** @throws RangeError without predictions */
export function neutralScores(predictions: readonly BeforeAfter[], texts?: NeutralTexts): NeutralScores {
  const unchanged = mean(predictions.map(([before, after]) => agreement(before.predicted, after.predicted)));
  if (unchanged === undefined) throw new RangeError('neutralScores: no predictions');
  const known = predictions.filter(([before]) => success(before) === 1);
  const ls = mean(known.map(([, after]) => success(after)));
  const same = texts && mean(texts.before.map((text, at) => Number(text === texts.after[at])));
  return {
    prompts: predictions.length,
    unchanged,
    known: known.length,
    ...(ls === undefined ? {} : { ls }),
    ...(same === undefined ? {} : { sameText: same }),
  };
}
