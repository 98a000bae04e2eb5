// Whether the end of an answer is edited with it, and the records as an edit or a training then reads them.

import { withEnds } from '../data/ended-records.js';
import type { EditRecord } from '../data/record.js';
import type { TokenizedRecord } from '../data/tokenized-record.js';
import { MalmenError } from '../errors.js';
import { type Subject, tokenizeFor } from './subject.js';

/**
 * Unless asked otherwise, of encoder-decoders: after an edit through both sides they would write on behind the new answer, while
 * decoders go on to stop where they did (docs/log.md).
 * @throws MalmenError `mismatch` where ends are asked for and the model writes none
 */
export function answersEnd({ model: { definition }, tokenizer, name }: Subject, asked: boolean | undefined): boolean {
  const canEnd = definition.kind !== 'classifier' && tokenizer.endOfText !== undefined;
  if (asked && !canEnd)
    throw new MalmenError('mismatch', `--ends: ${name} has no token that ends what it writes; leave it out`);
  return asked ?? (canEnd && definition.kind === 'encoder-decoder');
}

/** Token ids of the records, with the ends of their answers where these are edited. */
export async function tokenizeToEdit(
  subject: Subject,
  records: readonly EditRecord[],
  ends: boolean,
): Promise<readonly TokenizedRecord[]> {
  return endedWhere(subject, await tokenizeFor(subject, records), ends);
}

/** The same records, or their answers with ends. */
export function endedWhere(
  { model: { definition }, tokenizer }: Subject,
  records: readonly TokenizedRecord[],
  ends: boolean,
): readonly TokenizedRecord[] {
  return ends ? withEnds(records, tokenizer.endOfText!, definition) : records;
}
