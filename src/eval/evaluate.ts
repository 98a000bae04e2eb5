// Evaluates edits fact by fact: each record's prompts are asked of the model before and after, and nothing is averaged before
// the record's own row is complete.

import type { TokenizedRecord } from '../data/tokenized-record.js';
import type { TokenPair } from '../data/tuple.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import { present } from '../util/present.js';
import { type AnswerPrediction, agreement, mean, success } from './metrics.js';
import { type PredictOptions, predictPairs } from './predict.js';

/** Scores under one set of weights, each between 0 and 1; absent where the record has no such prompt. */
export interface FactScores {
  /** Edit success: share of the new answer's tokens that are the most likely ones. */
  readonly es: number;
  /** The same on rephrased prompts, their mean. */
  readonly gs?: number;
  /** The same on unrelated prompts against their true answers, their mean. */
  readonly ls?: number;
}

/** One record's row. */
export interface FactRow {
  readonly id: string;
  readonly before: FactScores;
  readonly after: FactScores;
  /** Share of tokens on unrelated prompts that are predicted as before the edit. */
  readonly unchanged?: number;
}

/** Means over records; a metric that no record has is absent. */
export interface EditScores {
  readonly facts: number;
  readonly es: number;
  readonly gs?: number;
  readonly ls?: number;
  readonly unchanged?: number;
  readonly before: { readonly es: number; readonly gs?: number; readonly ls?: number };
}

/** What a model says before and after, of any pairs. */
export type PredictBoth = (pairs: readonly TokenPair[]) => Promise<readonly BeforeAfter[]>;

/** Before and after as two sets of weights of one open model. */
export function underWeights(
  model: EditableModel,
  weights: { readonly before: LayerTensors; readonly after: LayerTensors },
  options: PredictOptions,
): PredictBoth {
  return async (pairs) => {
    const found = await predictPairs(model, [weights.before, weights.after], pairs, options);
    return found.map(([before, after]) => [before!, after!]);
  };
}

/** Every prompt of a record that is evaluated, in the order of {@link factRows}. */
export function evaluatedPairs(records: readonly TokenizedRecord[]): TokenPair[] {
  return records.flatMap(({ edit, rephrasings, unrelated }) => [edit, ...rephrasings, ...unrelated]);
}

/** Asks every prompt of every record. */
export async function evaluateRecords(records: readonly TokenizedRecord[], predict: PredictBoth): Promise<FactRow[]> {
  return factRows(records, await predict(evaluatedPairs(records)));
}

/** One row per record from the predictions of all its prompts. */
export function factRows(records: readonly TokenizedRecord[], predictions: readonly BeforeAfter[]): FactRow[] {
  const remaining = predictions.values();
  const take = (count: number) => Array.from({ length: count }, () => remaining.next().value as BeforeAfter);
  return records.map(({ record, rephrasings, unrelated }) => {
    const [edit] = take(1);
    return factRow(record.id, edit!, take(rephrasings.length), take(unrelated.length));
  });
}

/** Predictions for one pair. */
export type BeforeAfter = readonly [AnswerPrediction, AnswerPrediction];

function factRow(
  id: string,
  edit: BeforeAfter,
  rephrasings: readonly BeforeAfter[],
  unrelated: readonly BeforeAfter[],
): FactRow {
  const scores = (at: 0 | 1): FactScores => ({
    es: success(edit[at]),
    ...present('gs', mean(rephrasings.map((pair) => success(pair[at])))),
    ...present('ls', mean(unrelated.map((pair) => success(pair[at])))),
  });
  const unchanged = mean(unrelated.map(([before, after]) => agreement(before.predicted, after.predicted)));
  return { id, before: scores(0), after: scores(1), ...present('unchanged', unchanged) };
}

/** Means over rows. @throws RangeError without rows */
export function summarize(rows: readonly FactRow[]): EditScores {
  const over = (pick: (row: FactRow) => number | undefined) =>
    mean(rows.map(pick).filter((value) => value !== undefined));
  const scores = (pick: (row: FactRow) => FactScores) => ({
    es: over((row) => pick(row).es)!,
    ...present(
      'gs',
      over((row) => pick(row).gs),
    ),
    ...present(
      'ls',
      over((row) => pick(row).ls),
    ),
  });
  return {
    facts: rows.length,
    ...scores((row) => row.after),
    ...present(
      'unchanged',
      over((row) => row.unchanged),
    ),
    before: scores((row) => row.before),
  };
}
