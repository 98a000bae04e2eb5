// In which words the facts are asked in each round of an edit. Knows no editor.

import { type SplitOptions, splitIntoBatches, type TokenBatch } from './split-batches.js';
import type { TokenizedRecord } from './tokenized-record.js';
import type { TokenPair } from './tuple.js';

/** Of `malmen edit`: how many rounds, and how the facts go together. */
interface Asking extends Pick<SplitOptions, 'kind' | 'batchSize'> {
  readonly rounds: number;
}

/**
 * The batches of each round: every fact in its own prompt and in its other wordings in turn, in its own prompt in the last
 * round. As many batches in every round; those of facts without wordings are made once.
 */
export function askedInRound(
  records: readonly TokenizedRecord[],
  { rounds, ...splitting }: Asking,
): (round: number) => readonly TokenBatch[] {
  const most = Math.max(0, ...records.map(({ wordings = [] }) => wordings.length));
  const split = (round: number) =>
    splitIntoBatches(
      records.map((record) => askedIn(record, rounds - 1 - round)),
      { ...splitting, sortByLength: true },
    ).map(({ batch }) => batch);
  const last = split(rounds - 1);
  return (round) => (most === 0 ? last : split(round));
}

/** @param before rounds that are still to come */
function askedIn({ edit, wordings = [] }: TokenizedRecord, before: number): TokenPair {
  return [edit, ...wordings][before % (wordings.length + 1)]!;
}

/** Everything that the rounds of an edit may ask. */
export function askedPairs(records: readonly TokenizedRecord[]): TokenPair[] {
  return records.flatMap(({ edit, wordings = [] }) => [edit, ...wordings]);
}

/** What takes most memory of what a fact may be asked in: its longest prompt. */
export function longestWording({ edit, wordings = [] }: TokenizedRecord): TokenPair {
  return wordings.reduce((longest, pair) => (pair.prompt.length > longest.prompt.length ? pair : longest), edit);
}
