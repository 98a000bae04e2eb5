// `edit --borrow-wordings`: the words in which known facts are asked, for facts that are told in one prompt.

import { borrowWordings } from '../data/borrowed-wordings.js';
import type { EditRecord } from '../data/record.js';
import { inputLength, type ModelInput, type TextEncoders, tokenizeExamples } from '../data/tuple.js';
import { MalmenError } from '../errors.js';
import { Random } from '../util/random.js';
import type { EditOptions } from './options.js';

/** What tells whether a prompt can be read. */
interface Reader {
  readonly tokenizer: TextEncoders;
  readonly model: { readonly definition: ModelInput };
}

/**
 * The records with wordings of `facts`, the same for the same seed; none that is too long for the model, since nobody wrote it.
 * @throws MalmenError `bad-input` where none can be borrowed
 */
export async function withBorrowedWordings(
  reader: Reader,
  records: readonly EditRecord[],
  facts: readonly EditRecord[],
  { keep, borrowWordings: count, seed }: Pick<EditOptions, 'keep' | 'borrowWordings' | 'seed'>,
): Promise<readonly EditRecord[]> {
  if (count === 0) return records;
  const option = `--borrow-wordings ${count}`;
  if (keep === undefined)
    throw new MalmenError('bad-input', `${option}: wordings are those of known facts; add --keep`);
  const random = Random.stream(seed, 'borrowed wordings');
  const found = await withoutTooLong(reader, records, borrowWordings(records, facts, { count, random }));
  if (found.some((record, at) => record !== records[at])) return found;
  throw new MalmenError('bad-input', `${option}: ${keep} has no other words for any of the facts; ${needed}`);
}

/** With room for the end of an answer. A record's own wordings come first and stay: where they are too long, it is refused later. */
async function withoutTooLong(
  { tokenizer, model: { definition } }: Reader,
  given: readonly EditRecord[],
  found: readonly EditRecord[],
): Promise<EditRecord[]> {
  const borrowedBy = ({ wordings = [] }: EditRecord, at: number) => wordings.slice(given[at]!.wordings?.length ?? 0);
  const examples = found.flatMap((record, at) =>
    borrowedBy(record, at).map((prompt) => ({ prompt, answer: record.edit.answer, recordId: record.id })),
  );
  const pairs = await tokenizeExamples(tokenizer, definition.kind, examples);
  const fits = pairs.map((pair) => inputLength(pair, definition.kind) < definition.contextTokens).values();
  return found.map((record, at) => {
    const borrowed = borrowedBy(record, at).filter(() => fits.next().value);
    const own = given[at]!;
    return borrowed.length === 0 ? own : { ...own, wordings: [...(own.wordings ?? []), ...borrowed] };
  });
}

const needed =
  'a record must name its `subject` in its prompt, and facts of --keep theirs, of the same `relation` or asked in the same words';
