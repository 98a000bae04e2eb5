// From text to token ids: what is asked and what must be answered. The encoder is passed in.

import { MalmenError } from '../errors.js';
import type { Example } from './record.js';

/** Token ids of one example. Both parts hold at least one token. */
export interface TokenPair {
  readonly prompt: readonly number[];
  readonly answer: readonly number[];
}

/** Token ids of many texts. */
type Encode = (texts: readonly string[]) => Promise<readonly (readonly number[])[]>;

/** How a tokenizer makes what is to be continued, and what continues it after one space. */
export interface TextEncoders {
  readonly encodePrompts: Encode;
  readonly encodeAnswers: Encode;
}

/** An example and the record that it belongs to, for errors. */
export interface NamedExample extends Example {
  readonly recordId: string;
}

/**
 * Decoder-only: the prompt as it is, behind the tokenizer's own start token; the answer with exactly one leading space (as the
 * published zsRE data set does it).
 * @throws MalmenError that names the record when nothing is left to ask or to answer
 */
export async function tokenizeExamples(
  { encodePrompts, encodeAnswers }: TextEncoders,
  examples: readonly NamedExample[],
): Promise<TokenPair[]> {
  const prompts = await encodePrompts(examples.map(({ prompt }) => prompt.trimEnd()));
  const answers = await encodeAnswers(examples.map(({ answer }) => answer));
  return examples.map(({ prompt, answer, recordId }, at) => {
    const pair = { prompt: prompts[at]!, answer: answers[at]! };
    if (prompt.trim() === '' || pair.prompt.length === 0) throw emptyPart(recordId, 'prompt');
    if (answer.trim() === '' || pair.answer.length === 0) throw emptyPart(recordId, 'answer');
    return pair;
  });
}

function emptyPart(recordId: string, part: 'prompt' | 'answer'): MalmenError {
  return new MalmenError(
    'bad-input',
    `record ${recordId}: the ${part} is empty; every example needs a prompt and an answer`,
  );
}

/** Tokens that the model reads: the prompt and all of the answer but its last token. */
export function inputLength({ prompt, answer }: TokenPair): number {
  return prompt.length + answer.length - 1;
}

/** @throws MalmenError when the model cannot read that much. */
export function assertFitsContext(pair: TokenPair, contextTokens: number, recordId: string): void {
  const length = inputLength(pair);
  if (length <= contextTokens) return;
  throw new MalmenError(
    'bad-input',
    `record ${recordId}: prompt and answer need ${length} tokens, the model reads at most ${contextTokens}; shorten the prompt`,
  );
}
