// What a fact checker says of claims: a verdict and how sure it is.

import { makeBatch } from '../data/split-batches.js';
import { type Verdict, verdictLabel, verdicts } from '../data/verdict.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';

export interface Judgement {
  readonly verdict: Verdict;
  /** Of that verdict, from a half to 1. */
  readonly probability: number;
}

/** @param claims token ids with special tokens, one at least */
export async function judge(
  model: EditableModel,
  weights: LayerTensors,
  claims: readonly (readonly number[])[],
): Promise<Judgement[]> {
  const label = verdictLabel('SUPPORTS')!;
  const asked = claims.map((prompt) => ({ prompt, answer: [label] }));
  const frozen = await model.freeze(makeBatch('classifier', asked));
  try {
    const { nll } = await model.predict(frozen, weights);
    return Array.from(nll, (loss) => {
      const supported = Math.exp(-loss);
      const verdict = verdicts[supported > 0.5 ? 1 : 0];
      return { verdict, probability: Math.max(supported, 1 - supported) };
    });
  } finally {
    model.releaseFrozen(frozen);
  }
}
