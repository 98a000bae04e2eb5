// What a record says is true before the edit, as prompts under their true answers.

import type { TokenizedRecord } from './tokenized-record.js';
import type { TokenPair } from './tuple.js';

/** All prompts of the record's own fact, each under the new answer. */
export function ownPairs({ edit, wordings = [], rephrasings }: TokenizedRecord): TokenPair[] {
  return [edit, ...wordings, ...rephrasings];
}

/** The edit's prompt, its wordings and its rephrasings, each under the true answer; none for a record that does not say what was true. */
export function knownPairs(record: TokenizedRecord): TokenPair[] {
  const { was } = record;
  return was?.length ? ownPairs(record).map(({ prompt }) => ({ prompt, answer: was })) : [];
}
