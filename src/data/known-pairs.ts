// What a record says is true before the edit, as prompts under their true answers.

import type { TokenizedRecord } from './tokenized-record.js';
import type { TokenPair } from './tuple.js';

/** The edit's prompt, its wordings and its rephrasings, each under the true answer; none for a record that does not say what was true. */
export function knownPairs({ edit, wordings = [], rephrasings, was }: TokenizedRecord): TokenPair[] {
  return was?.length ? [edit, ...wordings, ...rephrasings].map(({ prompt }) => ({ prompt, answer: was })) : [];
}
