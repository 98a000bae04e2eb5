// `edit --borrow-wordings`: the words in which known facts are asked, for facts that are told in one prompt.

import { borrowWordings } from '../data/borrowed-wordings.js';
import type { EditRecord } from '../data/record.js';
import { MalmenError } from '../errors.js';
import { Random } from '../util/random.js';
import type { EditOptions } from './options.js';

/**
 * The records with wordings of `facts`, the same for the same seed.
 * @throws MalmenError `bad-input` where none can be borrowed
 */
export function withBorrowedWordings(
  records: readonly EditRecord[],
  facts: readonly EditRecord[],
  { keep, borrowWordings: count, seed }: Pick<EditOptions, 'keep' | 'borrowWordings' | 'seed'>,
): readonly EditRecord[] {
  if (count === 0) return records;
  const option = `--borrow-wordings ${count}`;
  if (keep === undefined)
    throw new MalmenError('bad-input', `${option}: wordings are those of known facts; add --keep`);
  const found = borrowWordings(records, facts, { count, random: Random.stream(seed, 'borrowed wordings') });
  if (found.some((record, at) => record !== records[at])) return found;
  throw new MalmenError('bad-input', `${option}: ${keep} has no other words for any of the facts; ${needed}`);
}

const needed =
  'a record must name its `subject` in its prompt, and facts of --keep theirs, of the same `relation` or asked in the same words';
