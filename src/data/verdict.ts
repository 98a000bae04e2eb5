// The two answers of a fact checker, by the names that FEVER (Thorne et al. 2018) gives them.

/** By label: 0 and 1. */
export const verdicts = ['REFUTES', 'SUPPORTS'] as const;

export type Verdict = (typeof verdicts)[number];

/** Undefined for any other answer. */
export function verdictLabel(answer: string): 0 | 1 | undefined {
  const label = (verdicts as readonly string[]).indexOf(answer.trim());
  return label < 0 ? undefined : (label as 0 | 1);
}
