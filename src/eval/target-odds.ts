// CounterFact's own metrics: is the new answer more likely than the true one, by how much, and does it stay less likely for
// neighbours? Pure arithmetic over predictions. Source: Meng et al. 2022, section 3.3 and the published evaluation, where the
// probability of an answer is exp of its mean log-probability per token.

import type { TokenizedRecord } from '../data/tokenized-record.js';
import type { TokenPair } from '../data/tuple.js';
import { present } from '../util/present.js';
import { type AnswerPrediction, mean } from './metrics.js';

/** Mean log-probability per token of two answers to one prompt: the edit's new one, and the one that is true before. */
export interface Odds {
  readonly answer: number;
  readonly was: number;
}

/** Every prompt of one record under one set of weights. On unrelated prompts `was` is the prompt's own true answer. */
export interface FactOdds {
  readonly edit: Odds;
  readonly rephrasings: readonly Odds[];
  readonly unrelated: readonly Odds[];
}

/** Means over records, each a mean over the record's prompts; a metric that no record has is absent. */
export interface OddsScores {
  /** Records with a true answer: the others have no odds. */
  readonly facts: number;
  /** Share of edit prompts where the new answer is more likely. */
  readonly efficacy: number;
  /** The same on rephrasings. */
  readonly paraphrase?: number;
  /** Share of unrelated prompts where the true answer is more likely. */
  readonly neighbourhood?: number;
  /** p(new) - p(true) on edit prompts; p is exp of the mean log-probability per token. */
  readonly efficacyMagnitude: number;
  readonly paraphraseMagnitude?: number;
  /** p(true) - p(new) on unrelated prompts. */
  readonly neighbourhoodMagnitude?: number;
  /** Harmonic mean of the three shares; absent where one of them is. */
  readonly score?: number;
}

/** A record whose answer before the edit is known. */
export type RecordWithTruth = TokenizedRecord & { readonly was: readonly number[] };

export const hasTruth = (record: TokenizedRecord): record is RecordWithTruth => record.was !== undefined;

/** Two pairs for every prompt of every record, in the order of {@link factOdds}: with the new answer, with the true one. */
export function oddsPairs(records: readonly RecordWithTruth[]): TokenPair[] {
  return records.flatMap(({ edit, rephrasings, unrelated, was }) => [
    ...[edit, ...rephrasings].flatMap(({ prompt, answer }) => [
      { prompt, answer },
      { prompt, answer: was },
    ]),
    ...unrelated.flatMap(({ prompt, answer }) => [
      { prompt, answer: edit.answer },
      { prompt, answer },
    ]),
  ]);
}

/** @param predictions of {@link oddsPairs}, under one set of weights */
export function factOdds(records: readonly RecordWithTruth[], predictions: readonly AnswerPrediction[]): FactOdds[] {
  const remaining = predictions.values();
  const next = () => logProbability(remaining.next().value as AnswerPrediction);
  const odds = (): Odds => ({ answer: next(), was: next() });
  return records.map(({ rephrasings, unrelated }) => ({
    edit: odds(),
    rephrasings: rephrasings.map(odds),
    unrelated: unrelated.map(odds),
  }));
}

function logProbability({ nll }: AnswerPrediction): number {
  return -nll.reduce((sum, value) => sum + value, 0) / nll.length;
}

/** @throws RangeError without rows */
export function summarizeOdds(rows: readonly FactOdds[]): OddsScores {
  const over = (pick: (row: FactOdds) => readonly Odds[], of: (odds: Odds) => number) =>
    mean(rows.map((row) => mean(pick(row).map(of))).filter((value) => value !== undefined));
  const [edits, rephrasings, unrelated] = [
    ({ edit }: FactOdds) => [edit],
    (row: FactOdds) => row.rephrasings,
    (row: FactOdds) => row.unrelated,
  ] as const;
  const efficacy = over(edits, isNew);
  if (efficacy === undefined) throw new RangeError('summarizeOdds: no rows');
  const [paraphrase, neighbourhood] = [over(rephrasings, isNew), over(unrelated, isTrue)];
  return {
    facts: rows.length,
    efficacy,
    ...present('paraphrase', paraphrase),
    ...present('neighbourhood', neighbourhood),
    efficacyMagnitude: over(edits, gain)!,
    ...present('paraphraseMagnitude', over(rephrasings, gain)),
    ...present(
      'neighbourhoodMagnitude',
      over(unrelated, (odds) => -gain(odds)),
    ),
    ...present('score', harmonicMean([efficacy, paraphrase, neighbourhood])),
  };
}

const isNew = ({ answer, was }: Odds) => Number(answer > was);
const isTrue = ({ answer, was }: Odds) => Number(was > answer);
const gain = ({ answer, was }: Odds) => Math.exp(answer) - Math.exp(was);

/** 0 where one of the values is 0; undefined where one is. */
function harmonicMean(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  if (known.length < values.length) return undefined;
  return values.length / known.reduce((sum, value) => sum + 1 / value, 0);
}
