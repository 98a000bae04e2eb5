// Everything that a report shows. Knows neither where it comes from nor how it is drawn.

import type { EditScores } from '../eval/evaluate.js';
import type { FactReport } from '../eval/fact-report.js';

export interface ReportData {
  /** `12 facts edited by malmen`. */
  readonly title: string;
  /** What `after` is: a sentence. */
  readonly subtitle: string;
  /** False where one model was asked once: before and after are the same then, and only one is shown. */
  readonly compared: boolean;
  readonly scores: EditScores;
  readonly exactMatch?: { readonly before: number; readonly after: number };
  /** Where no record has an unrelated prompt: share of tokens on neutral prompts that are predicted as before. */
  readonly neutral?: { readonly unchanged: number };
  readonly facts: readonly FactReport[];
  /** Frobenius norms of each layer's shift and weight, in the model's order; empty without a shift. */
  readonly layers: readonly LayerNorms[];
  /** What was run on what: names and values, hashes among them. */
  readonly provenance: readonly Setting[];
  /** Every option of the run. */
  readonly options: readonly Setting[];
  /** What to type to run it again. */
  readonly command: string;
}

/** Frobenius norms of a layer: of what was added and of what it was added to. */
export interface LayerNorms {
  readonly name: string;
  readonly shiftNorm: number;
  readonly weightNorm: number;
}

export interface Setting {
  readonly name: string;
  readonly value: string;
}

/** A mean before and after; absent before where it means nothing (`unchanged`). */
export interface Score {
  readonly short: string;
  readonly name: string;
  readonly before?: number;
  readonly after: number;
}

/** The means that a run has, in the order in which they are always shown. */
export function scoresOf({ scores, exactMatch, neutral, compared }: ReportData): Score[] {
  const { before } = scores;
  const rows = [
    score('ES', 'edited prompts', before.es, scores.es),
    score('GS', 'rephrased prompts', before.gs, scores.gs),
    score('LS', 'unrelated prompts, true answers', before.ls, scores.ls),
    score('Unchanged', 'unrelated prompts, same prediction', undefined, compared ? scores.unchanged : undefined),
    score('Neutral', 'neutral prompts, same prediction', undefined, compared ? neutral?.unchanged : undefined),
    score('Exact', 'generated answers exactly right', exactMatch?.before, exactMatch?.after),
  ];
  return rows.flat().map(({ before: was, ...row }) => (compared && was !== undefined ? { ...row, before: was } : row));
}

function score(short: string, name: string, before: number | undefined, after: number | undefined): Score[] {
  if (after === undefined) return [];
  return [{ short, name, after, ...(before === undefined ? {} : { before }) }];
}
