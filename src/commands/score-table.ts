// Scores as the table that people read.

import type { EditScores } from '../eval/evaluate.js';
import type { CommandEvent } from './events.js';

/** ES, GS, LS, unchanged and generated exact match, before and after. */
export function scoreTable(title: string, scores: EditScores, exact?: { before: number; after: number }): CommandEvent {
  const rows: (readonly (string | number | null)[])[] = [
    ['ES  edited prompts', scores.before.es, scores.es],
    ['GS  rephrased prompts', scores.before.gs ?? null, scores.gs ?? null],
    ['LS  unrelated prompts', scores.before.ls ?? null, scores.ls ?? null],
    ['unchanged predictions on unrelated', null, scores.unchanged ?? null],
  ];
  if (exact) rows.push(['generated answer exactly right', exact.before, exact.after]);
  return { kind: 'table', title, columns: ['', 'before', 'after'], rows };
}
