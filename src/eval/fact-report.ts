// The per-fact report: one JSON line per record with what it asked, what came back and its scores. Knows no editor.

import type { TokenizedRecord } from '../data/tokenized-record.js';
import { cutAtNaturalStop, normalizeAnswer } from '../tokenizer/stop.js';
import { writeFileAtomic } from '../util/atomic-file.js';
import { present } from '../util/present.js';
import type { FactRow } from './evaluate.js';
import { mean } from './metrics.js';
import type { FactOdds } from './target-odds.js';

/** Free generations of the records' edit prompts, in order: of all of them, or of the first. */
export interface Generations {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

export interface FactReport extends FactRow {
  readonly prompt: string;
  readonly answer: string;
  /** Other prompts of the fact, which an edit learns from. */
  readonly wordings?: readonly string[];
  readonly was?: string;
  readonly relation?: string;
  /** Every token of the new answer is the most likely one. */
  readonly took: boolean;
  /** What the model says freely, cut at its natural end. */
  readonly generated?: { readonly before: string; readonly after: string };
  /** The generated answer is the wanted one. */
  readonly exact?: { readonly before: boolean; readonly after: boolean };
  /** How likely the new and the true answer are to every prompt; only where that was asked. */
  readonly odds?: { readonly before: FactOdds; readonly after: FactOdds };
}

export function factReports(
  records: readonly TokenizedRecord[],
  rows: readonly FactRow[],
  generations?: Generations,
): FactReport[] {
  return records.map(({ record: { edit, wordings, was, relation } }, at) => ({
    ...rows[at]!,
    prompt: edit.prompt,
    answer: edit.answer,
    ...present('wordings', wordings),
    ...present('was', was),
    ...present('relation', relation),
    took: rows[at]!.after.es === 1,
    ...spoken(edit.answer, generations?.before[at], generations?.after[at]),
  }));
}

function spoken(answer: string, before: string | undefined, after: string | undefined) {
  if (before === undefined || after === undefined) return {};
  const generated = { before: cutAtNaturalStop(before).trim(), after: cutAtNaturalStop(after).trim() };
  const same = (text: string) => normalizeAnswer(text) === normalizeAnswer(answer);
  return { generated, exact: { before: same(generated.before), after: same(generated.after) } };
}

/** Share of the facts with a free generation for which it is exactly the new answer; undefined without any. */
export function exactMatch(reports: readonly FactReport[]): { before: number; after: number } | undefined {
  const shares = (when: 'before' | 'after') =>
    mean(reports.flatMap(({ exact }) => (exact ? [Number(exact[when])] : [])));
  const [before, after] = [shares('before'), shares('after')];
  return before === undefined || after === undefined ? undefined : { before, after };
}

/**
 * Of the facts that took and whose old answer the model stopped after when it wrote freely (`stopped`), those whose new answer
 * it goes on writing behind (`on`). Facts without `was` are not counted: where their old answer ended is not known.
 */
export function saidOn(reports: readonly FactReport[]): { readonly stopped: number; readonly on: number } {
  const stopped = reports.filter(
    ({ took, was, generated }) =>
      took && was !== undefined && generated && normalizeAnswer(generated.before) === normalizeAnswer(was),
  );
  const on = stopped.filter(({ answer, generated, exact }) => !exact!.after && generated!.after.startsWith(answer));
  return { stopped: stopped.length, on: on.length };
}

export async function writeFactReports(path: string, reports: readonly FactReport[]): Promise<void> {
  await writeFileAtomic(path, reports.map((report) => `${JSON.stringify(report)}\n`).join(''));
}
