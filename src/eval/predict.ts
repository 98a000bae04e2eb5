// What a model says at the answer tokens of many examples, teacher forced, under one or more sets of weights: the frozen part
// of each batch runs once for all of them.

import { splitIntoBatches } from '../data/split-batches.js';
import type { TokenPair } from '../data/tuple.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import type { AnswerPrediction } from './metrics.js';

/** How many prompts go together, and how asking is watched and stopped. */
export interface PredictOptions {
  /** Prompts per pass. */
  readonly batch: number;
  readonly signal?: AbortSignal;
  /** Called with the prompts done and their number. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** For each pair, its prediction under each of `weights`. */
export async function predictPairs(
  model: EditableModel,
  weights: readonly LayerTensors[],
  pairs: readonly TokenPair[],
  { batch: batchSize, signal, onProgress }: PredictOptions,
): Promise<AnswerPrediction[][]> {
  const found: AnswerPrediction[][] = pairs.map(() => []);
  let done = 0;
  const splitting = { kind: model.model.definition.kind, batchSize, maxTokens: 16_384, sortByLength: true };
  for (const { batch, indices } of splitIntoBatches(pairs, splitting)) {
    signal?.throwIfAborted();
    const frozen = await model.freeze(batch);
    for (const set of weights) {
      const { predicted, nll } = await model.predict(frozen, set);
      let row = 0;
      for (const index of indices) {
        const { answer } = pairs[index]!;
        const end = row + answer.length;
        found[index]!.push({
          predicted: Array.from(predicted.subarray(row, end), Number),
          answer,
          nll: [...nll.subarray(row, end)],
        });
        row = end;
      }
    }
    model.releaseFrozen(frozen);
    done += indices.length;
    onProgress?.(done, pairs.length);
  }
  return found;
}
