// Records whose answers are followed by the token that ends a text: an edit then also learns where to stop. Knows no tokenizer.

import type { TokenizedRecord } from './tokenized-record.js';
import { assertFitsContext, type ModelInput, type TokenPair } from './tuple.js';

/**
 * The end behind the new answer and the true one; unrelated answers stay as they are.
 * @throws MalmenError that names the record that does not fit the model's context any more
 */
export function withEnds(records: readonly TokenizedRecord[], end: number, model: ModelInput): TokenizedRecord[] {
  return records.map((tokenized) => {
    const { record, edit, wordings, rephrasings, was } = tokenized;
    const ended = ({ prompt, answer }: TokenPair): TokenPair => {
      const pair = { prompt, answer: [...answer, end] };
      assertFitsContext(pair, model, record.id);
      return pair;
    };
    return {
      ...tokenized,
      edit: ended(edit),
      ...(wordings ? { wordings: wordings.map(ended) } : {}),
      rephrasings: rephrasings.map(ended),
      ...(was ? { was: [...was, end] } : {}),
    };
  });
}
