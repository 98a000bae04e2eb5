// What every editor is: something that looks at a model and facts, and answers with a parameter shift. It never changes the
// model; applying, saving and undoing a shift are other functions' business.

import type { EditableModel, LayerTensors, ModelBatch } from '../engine/editable-model.js';

/** A batch of edit examples, as `data/batch` makes them. */
export interface AnswerBatch extends ModelBatch {
  /** Answer tokens of each sequence. */
  readonly answerCounts: readonly number[];
}

/** Batches (or chunks of rows) done, of all rounds together. */
export interface EditProgress {
  readonly done: number;
  readonly total: number;
}

/** How a shift is computed; all may be left out. */
export interface ComputeShiftOptions {
  readonly signal?: AbortSignal;
  /** Times that the facts are captured and solved for, each under the shift so far. 1 by default; only trained editors use it. */
  readonly rounds?: number;
  /** Factor of every lambda: above 1, each round changes less and other facts stay better in place. 1 by default. */
  readonly lambdaScale?: number;
  /**
   * Of damped editors, from the second round on: how much more a token counts in the solve that needs no change than one that
   * needs all of it. 1 by default.
   */
  readonly hold?: number;
  /** The same facts in the words of a round, as many batches as there are; the batches themselves in every round by default. */
  readonly inRound?: (round: number) => readonly AnswerBatch[];
  /**
   * Prompts under answers that must stay, to be captured beside the facts in a round after the first (`round` is 1 then): what
   * the shift so far has damaged asks for its repair. The same number of batches for every round.
   */
  readonly kept?: (round: number) => readonly AnswerBatch[];
  /**
   * A folder that is not there yet, on a disk with room for all rows: they wait in it, and one layer's equation is in memory at
   * a time. It is gone afterwards, and the shift is the same to the bit. Only trained editors use it; without it, all is in memory.
   */
  readonly spoolTo?: string;
  /** Called with the number of batches done. */
  readonly onProgress?: (progress: EditProgress) => void;
  /** Where rows wait on disk, called with the number of chunks that were fed to their layer's equation. */
  readonly onSolve?: (progress: EditProgress) => void;
}

/** Computes a shift that edits facts in: reads the model, changes nothing. Every editor passes the same conformance tests. */
export interface Editor {
  readonly name: string;
  /**
   * The shift that makes the model give these answers: [keySize, valueSize] for each edited layer, resident and owned by
   * the caller. No batches give a shift of zeros.
   */
  computeShift(
    model: EditableModel,
    batches: readonly AnswerBatch[],
    options?: ComputeShiftOptions,
  ): Promise<LayerTensors>;
}

/** Answer tokens of a batch. */
export function answerCount(batch: AnswerBatch): number {
  return batch.answerCounts.reduce((sum, count) => sum + count, 0);
}
