// A schema's complaint as a sentence: field, what was expected, and for a misspelt field the one that was meant.

import type { z } from 'zod';

const knownFields = ['id', 'edit', 'rephrasings', 'unrelated', 'subject', 'relation', 'was', 'prompt', 'answer'];

export function describeIssue(issue: z.core.$ZodIssue): string {
  const field = issue.path.length > 0 ? `${issue.path.join('.')}: ` : '';
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${field}unknown field '${key}'${suggestion(key)}`).join('; ');
  }
  return `${field}${issue.message}`;
}

function suggestion(key: string): string {
  const nearest = knownFields.find((known) => distance(known, key.toLowerCase()) <= 2);
  return nearest === undefined ? '' : `; did you mean '${nearest}'?`;
}

/** Single-letter changes between two words (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
