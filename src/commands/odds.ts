// CounterFact's probabilities of new and true answers, for every record that says what was true.

import type { TokenizedRecord } from '../data/tokenized-record.js';
import { assertFitsContext } from '../data/tuple.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import { predictPairs } from '../eval/predict.js';
import { type FactOdds, factOdds, hasTruth, type OddsScores, oddsPairs, summarizeOdds } from '../eval/target-odds.js';
import type { CommandContext, CommandEvent } from './events.js';

/** CounterFact's own metrics, before and after an edit. */
export interface OddsReport {
  readonly before: OddsScores;
  readonly after: OddsScores;
}

/** Odds of each record that has them, by id. */
export type OddsById = ReadonlyMap<string, { readonly before: FactOdds; readonly after: FactOdds }>;

/** Undefined where no record says what was true. */
export async function askOdds(
  editable: EditableModel,
  weights: LayerTensors,
  tokenized: readonly TokenizedRecord[],
  { batch }: { readonly batch: number },
  { emit, signal }: CommandContext,
): Promise<{ readonly report: OddsReport; readonly byId: OddsById } | undefined> {
  const records = tokenized.filter(hasTruth);
  if (records.length === 0) return undefined;
  const pairs = oddsPairs(records);
  const owners = records.flatMap((record) => oddsPairs([record]).map(() => record.record.id));
  for (const [at, pair] of pairs.entries()) assertFitsContext(pair, editable.model.definition, owners[at]!);
  const onProgress = (done: number, total: number) =>
    emit({ kind: 'progress', stage: 'compare answers', done, total, unit: 'prompts' });
  const sets = weights === editable.base ? [editable.base] : [editable.base, weights];
  const found = await predictPairs(editable, sets, pairs, { batch, signal, onProgress });
  const rows = (set: number) =>
    factOdds(
      records,
      found.map((predictions) => predictions[set]!),
    );
  const [before, after] = [rows(0), rows(sets.length - 1)];
  return {
    report: { before: summarizeOdds(before), after: summarizeOdds(after) },
    byId: new Map(records.map(({ record }, at) => [record.id, { before: before[at]!, after: after[at]! }])),
  };
}

export function oddsTable({ before, after }: OddsReport): CommandEvent {
  const rows = (
    [
      ['new answer likelier, edited prompts', 'efficacy'],
      ['new answer likelier, rephrased prompts', 'paraphrase'],
      ['true answer likelier, unrelated prompts', 'neighbourhood'],
      ['score (harmonic mean of the three)', 'score'],
      ['p(new) - p(true), edited prompts', 'efficacyMagnitude'],
      ['p(new) - p(true), rephrased prompts', 'paraphraseMagnitude'],
      ['p(true) - p(new), unrelated prompts', 'neighbourhoodMagnitude'],
    ] as const
  ).flatMap(([name, key]) => (after[key] === undefined ? [] : [[name, before[key] ?? null, after[key]]]));
  return {
    kind: 'table',
    title: `Probabilities of new and true answer (exp of the mean log-probability per token), ${after.facts} facts`,
    columns: ['', 'before', 'after'],
    rows,
  };
}
