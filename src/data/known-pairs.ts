// What a record says is true before the edit, as prompts under their true answers.

import type { TokenizedRecord } from './tokenized-record.js';
import type { TokenPair } from './tuple.js';

/** All prompts of the record's own fact, each under the new answer. */
export function ownPairs({ edit, wordings = [], rephrasings }: TokenizedRecord): TokenPair[] {
  return [edit, ...wordings, ...rephrasings];
}

/**
 * The edit's prompt under the true answer, and its wordings and rephrasings unless told otherwise; none for a record that does
 * not say what was true.
 */
export function knownPairs(record: TokenizedRecord, inAllWords = true): TokenPair[] {
  const { was, edit } = record;
  const asked = inAllWords ? ownPairs(record) : [edit];
  return was?.length ? asked.map(({ prompt }) => ({ prompt, answer: was })) : [];
}
