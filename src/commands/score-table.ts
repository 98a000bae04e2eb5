// Scores as the table that people read.

import type { EditScores } from '../eval/evaluate.js';
import type { NeutralScores } from '../eval/neutral-scores.js';
import type { CommandEvent } from './events.js';

type Row = readonly [name: string, before: number | null | undefined, after: number | null | undefined];

/** ES, GS, LS, unchanged and generated exact match, before and after; what was not measured is left out. */
export function scoreTable(
  title: string,
  scores: EditScores,
  exact?: { before: number; after: number },
  neutral?: NeutralScores,
): CommandEvent {
  const all: readonly Row[] = [
    ['ES  edited prompts', scores.before.es, scores.es],
    ['GS  rephrased prompts', scores.before.gs, scores.gs],
    ['LS  unrelated prompts', scores.before.ls, scores.ls],
    ['unchanged predictions on unrelated', null, scores.unchanged],
    ...neutralRows(neutral),
    ['generated answer exactly right', exact?.before, exact?.after],
  ];
  const rows = all.flatMap(([name, before, after]) => (after == null ? [] : [[name, before ?? null, after]]));
  return { kind: 'table', title, columns: ['', 'before', 'after'], rows };
}

function neutralRows(neutral: NeutralScores | undefined): Row[] {
  if (neutral === undefined) return [];
  const { prompts, unchanged, sameText, known, ls } = neutral;
  return [
    [`unchanged predictions on ${prompts} neutral prompts`, null, unchanged],
    [`same generated text on ${prompts} neutral prompts`, null, sameText],
    [`LS  ${known} neutral prompts known before`, 1, ls],
  ];
}
