// What an edit comes to: its scores, the facts that did not take, and how they are told on the terminal.

import { type EditScores, summarize } from '../eval/evaluate.js';
import { exactMatch, type FactReport, saidOn } from '../eval/fact-report.js';
import type { NeutralScores } from '../eval/neutral-scores.js';
import type { LayerNorms } from '../report/report-data.js';
import { present } from '../util/present.js';
import type { Eased } from './ease-shift.js';
import { reportPath } from './edit-report.js';
import type { CommandContext } from './events.js';
import type { Rounding } from './rounding.js';
import { scoreTable } from './score-table.js';

/** What an edit did, asked of the saved checkpoint; also the content of `edit.json`. */
export interface EditResult {
  readonly out: string;
  readonly editor: string;
  readonly facts: number;
  /** Facts whose whole answer is now the most likely one, asked of the saved checkpoint. */
  readonly took: number;
  readonly failedIds: readonly string[];
  readonly scores: EditScores;
  readonly exactMatch?: { readonly before: number; readonly after: number };
  /** Locality on built-in prompts; only where no record has an unrelated prompt. */
  readonly neutral?: NeutralScores;
  /** Frobenius norm of each layer's shift, and of its weight. */
  readonly layers: readonly LayerNorms[];
  readonly editSeconds: number;
  readonly secondsPerFact: number;
  /** Only with `--ease`. */
  readonly eased?: Eased;
  readonly verified: 'the saved checkpoint, opened again from disk';
  readonly leftOut: readonly string[];
  /** Only where edited weights are stored in 16 bits. */
  readonly rounding?: Rounding;
}

/** What is known once the checkpoint is saved. */
export interface EditMade {
  readonly editor: string;
  readonly layers: EditResult['layers'];
  readonly editSeconds: number;
  readonly eased: Eased | undefined;
  readonly leftOut: readonly string[];
  readonly rounding: Rounding | undefined;
}

/** What the saved checkpoint said. */
export interface EditAsked {
  readonly reports: readonly FactReport[];
  readonly neutral: NeutralScores | undefined;
}

/** An edit with what its saved checkpoint was found to say. */
export function editResult(
  out: string,
  { editor, layers, editSeconds, eased, leftOut, rounding }: EditMade,
  { reports, neutral }: EditAsked,
): EditResult {
  const exact = exactMatch(reports);
  return {
    out,
    editor,
    facts: reports.length,
    took: reports.filter(({ took }) => took).length,
    failedIds: reports.filter(({ took }) => !took).map(({ id }) => id),
    scores: summarize(reports),
    ...(exact ? { exactMatch: exact } : {}),
    ...present('neutral', neutral),
    layers,
    editSeconds,
    secondsPerFact: editSeconds / reports.length,
    ...present('eased', eased),
    verified: 'the saved checkpoint, opened again from disk',
    leftOut,
    ...(rounding ? { rounding } : {}),
  };
}

/** Failures shown on the terminal; all of them are in facts.jsonl. */
const shownFailures = 20;

/** Scores, the facts that did not take, and where everything lies. */
export function tellEdit(result: EditResult, reports: readonly FactReport[], { emit }: CommandContext): void {
  for (const name of result.leftOut) {
    emit({ kind: 'warning', text: `${name} was not copied: it would still hold the unedited weights` });
  }
  emit(
    scoreTable(
      `${result.facts} facts edited by ${result.editor}, asked of the saved checkpoint`,
      result.scores,
      result.exactMatch,
      result.neutral,
    ),
  );
  if (result.rounding) emit({ kind: 'note', text: roundingText(result.rounding) });
  if (result.eased) emit({ kind: 'note', text: easedText(result.eased) });
  const { stopped, on } = saidOn(reports);
  if (2 * on > stopped) emit({ kind: 'warning', text: saidOnText(stopped, on) });
  const outgrown = result.layers.filter(({ shiftNorm, weightNorm }) => shiftNorm > outgrownAt * weightNorm);
  if (outgrown.length > 0) emit({ kind: 'warning', text: outgrownText(outgrown) });
  const failed = reports.filter(({ took }) => !took);
  if (failed.length > 0) {
    const rows = failed
      .slice(0, shownFailures)
      .map((row) => [row.id, row.prompt, row.answer, row.generated?.after ?? null, row.after.es]);
    const title = `${failed.length} of ${reports.length} facts did not take${failed.length > shownFailures ? ` (first ${shownFailures}; all in facts.jsonl)` : ''}`;
    emit({ kind: 'table', title, columns: ['id', 'prompt', 'wanted', 'generated', 'ES'], rows });
  }
  emit({ kind: 'note', text: `saved ${result.out}: model, shift.safetensors, facts.jsonl, edit.json` });
  emit({ kind: 'note', text: `report: ${reportPath(result.out)} (open it in a browser)` });
}

/**
 * Times the weight's norm. Shifts of usable edits have been seen at up to 60 times, in directions that keys hardly use; from 400 on
 * nothing else stayed in place (docs/log.md).
 */
const outgrownAt = 100;

function outgrownText(layers: readonly LayerNorms[]): string {
  const each = layers.map(({ name, shiftNorm, weightNorm }) => `${name} ${Math.round(shiftNorm / weightNorm)}`);
  return `shifts many times as large as their weights (${each.join(', ')} times): keys of different facts are nearly the same there; try other --layers, --tokens all or a lower --initial-rate when training the editor`;
}

function saidOnText(stopped: number, on: number): string {
  return `${on} of ${stopped} facts that took are said with other words behind them, where the model stopped before the edit: an editor trained with --ends edits the end of an answer too`;
}

function easedText({ factor, took }: Eased): string {
  if (factor === 1) return `the shift could not be scaled down: ${took.whole} facts take at their prompts`;
  return `the shift was scaled down to ${factor.toFixed(2)}: ${took.eased} facts take at their prompts, ${took.whole} under the whole one`;
}

function roundingText({ dtypes, shareOfShift }: Rounding): string {
  const lost = `${(100 * shareOfShift).toPrecision(2)} %`;
  return `the edited weights are saved as ${dtypes.join(', ')}, like the base model's: rounding changes them by ${lost} of the shift; shift.safetensors holds it unrounded`;
}
