// Reports for tests, made up: any number of facts, some of which failed, and texts that try to break out of the page.

import { summarize } from '../../src/eval/evaluate.js';
import { exactMatch, type FactReport } from '../../src/eval/fact-report.js';
import type { ReportData } from '../../src/report/report-data.js';

/** Ends an element, begins one that runs a script, ends attributes, opens a comment. */
export const hostile = `</script><img src=x onerror="window.broken=1"><script>window.broken=2</script>"'><!-- </style>`;

const relations = ['capital', 'language', 'currency', 'author'];

/** Every tenth fact failed, beginning with number 5. */
export function exampleFact(at: number): FactReport {
  const failed = at % 10 === 5;
  const generated = { before: `Old ${at}`, after: failed ? `Old ${at}` : `New ${at}` };
  return {
    id: `fact-${at}`,
    relation: relations[at % relations.length]!,
    prompt: `The answer to question ${at} is`,
    answer: `New ${at}`,
    was: `Old ${at}`,
    took: !failed,
    before: { es: 0.25, gs: 0.2, ls: 1 },
    after: { es: failed ? 0.5 : 1, gs: failed ? 0.25 : 0.75 + (at % 3) * 0.125, ls: at % 7 === 0 ? 0.5 : 1 },
    unchanged: at % 7 === 0 ? 0.5 : 1,
    generated,
    exact: { before: false, after: !failed },
  };
}

export function exampleReport(facts: readonly FactReport[], more: Partial<ReportData> = {}): ReportData {
  const exact = exactMatch(facts);
  return {
    title: `${facts.length} facts edited at once by MALMEN`,
    subtitle: 'Before: the base model. After: the saved checkpoint.',
    compared: true,
    scores: summarize(facts),
    ...(exact ? { exactMatch: exact } : {}),
    facts,
    layers: [
      { name: 'transformer.h.3.mlp.c_proj', shiftNorm: 1.5, weightNorm: 30 },
      { name: 'transformer.h.4.mlp.c_proj', shiftNorm: 3, weightNorm: 30 },
    ],
    provenance: [{ name: 'base content hash', value: 'f'.repeat(64) }],
    options: [{ name: 'batch', value: '100' }],
    command: 'malmen edit --model lm --editor editor --records jsonl:facts.jsonl --out edited',
    ...more,
  };
}

export const exampleFacts = (count: number): FactReport[] => Array.from({ length: count }, (_, at) => exampleFact(at));
