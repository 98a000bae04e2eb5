// Facts of one relation taken together: how many, how many took, and their mean scores. Knows no page.

import type { FactReport } from '../eval/fact-report.js';
import { mean } from '../eval/metrics.js';

export interface RelationScores {
  readonly relation: string;
  readonly facts: number;
  readonly took: number;
  readonly before: { readonly es: number; readonly gs?: number };
  readonly after: { readonly es: number; readonly gs?: number };
}

/** Facts that carry a relation, the least successful relation first. */
export function relationScores(facts: readonly FactReport[]): RelationScores[] {
  const groups = new Map<string, FactReport[]>();
  for (const fact of facts) {
    if (fact.relation === undefined) continue;
    const group = groups.get(fact.relation);
    if (group) group.push(fact);
    else groups.set(fact.relation, [fact]);
  }
  return [...groups].map(([relation, group]) => summaryOf(relation, group)).sort(leastFirst);
}

function summaryOf(relation: string, group: readonly FactReport[]): RelationScores {
  const scores = (when: 'before' | 'after') => {
    const gs = mean(group.flatMap((fact) => fact[when].gs ?? []));
    return { es: mean(group.map((fact) => fact[when].es))!, ...(gs === undefined ? {} : { gs }) };
  };
  const took = group.filter((fact) => fact.took).length;
  return { relation, facts: group.length, took, before: scores('before'), after: scores('after') };
}

function leastFirst(a: RelationScores, b: RelationScores): number {
  return a.after.es - b.after.es || (a.after.gs ?? 0) - (b.after.gs ?? 0) || a.relation.localeCompare(b.relation, 'en');
}
