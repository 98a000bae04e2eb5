// Rows of a run as lines of the page's table. Knows neither markup nor the browser.

import type { FactReport } from '../eval/fact-report.js';
import type { FactLine, PageData, Pair } from './page/fact-line.js';
import type { ReportData } from './report-data.js';

export function pageDataOf({ facts, compared }: ReportData): PageData {
  return { compared, facts: facts.map(lineOf) };
}

function lineOf(fact: FactReport): FactLine {
  const { id, prompt, answer, took, generated, exact, before, after } = fact;
  return {
    id,
    relation: fact.relation ?? null,
    prompt,
    wanted: answer,
    was: fact.was ?? null,
    took,
    said: generated ? [generated.before, generated.after] : null,
    exact: exact ? [exact.before, exact.after] : null,
    es: [before.es, after.es],
    gs: pairOf(before.gs, after.gs),
    ls: pairOf(before.ls, after.ls),
    unchanged: fact.unchanged ?? null,
  };
}

function pairOf(before: number | undefined, after: number | undefined): Pair<number> | null {
  return before === undefined || after === undefined ? null : [before, after];
}
