// An edit record in token ids, its identity kept. The encoders are passed in.

import type { EditRecord, Example } from './record.js';
import {
  answerIds,
  assertFitsContext,
  type ModelInput,
  type TextEncoders,
  type TokenPair,
  tokenizeExamples,
} from './tuple.js';

/** A record in token ids; the text stays beside them. */
export interface TokenizedRecord {
  readonly record: EditRecord;
  readonly edit: TokenPair;
  /** The edit's answer after other prompts, which an edit may learn from. */
  readonly wordings?: readonly TokenPair[];
  readonly rephrasings: readonly TokenPair[];
  readonly unrelated: readonly TokenPair[];
  /** The answer before the edit, where it is known. */
  readonly was?: readonly number[];
}

/**
 * Tokenizes all examples of all records at once; every input must fit the model's context.
 * @throws MalmenError that names the record that does not fit, or that is for another kind of model
 */
export async function tokenizeRecords(
  encoders: TextEncoders,
  records: readonly EditRecord[],
  model: ModelInput,
): Promise<TokenizedRecord[]> {
  const examples = records.flatMap((record) =>
    examplesOf(record).map((example) => ({ ...example, recordId: record.id })),
  );
  const pairs = await tokenizeExamples(encoders, model.kind, examples);
  for (const [at, pair] of pairs.entries()) assertFitsContext(pair, model, examples[at]!.recordId);
  const truths = await answerIds(
    encoders,
    model.kind,
    records.map(({ was }) => was ?? ''),
  );
  const remaining = pairs.values();
  const take = (count: number) => Array.from({ length: count }, () => remaining.next().value as TokenPair);
  return records.map((record, at) => ({
    record,
    edit: take(1)[0]!,
    ...(record.wordings ? { wordings: take(record.wordings.length) } : {}),
    rephrasings: take(record.rephrasings.length),
    unrelated: take(record.unrelated.length),
    ...(record.was === undefined ? {} : { was: truths[at]! }),
  }));
}

/** In the order in which a tokenized record has them. */
function examplesOf({ edit, wordings = [], rephrasings, unrelated }: EditRecord): Example[] {
  return [edit, ...wordings.map((prompt) => ({ prompt, answer: edit.answer })), ...rephrasings, ...unrelated];
}
