// From text to token ids: what is asked and what must be answered, as each kind of model reads it. The encoders are passed in.

import { MalmenError } from '../errors.js';
import type { ModelKind } from '../util/model-kind.js';
import type { Example } from './record.js';
import { verdictLabel } from './verdict.js';

/** Token ids of one example. Both parts hold at least one token; a classifier's answer is the label of the verdict. */
export interface TokenPair {
  readonly prompt: readonly number[];
  readonly answer: readonly number[];
}

/** Token ids of many texts. */
export type Encode = (texts: readonly string[]) => Promise<readonly (readonly number[])[]>;

/** How a tokenizer makes what is to be continued, what continues it after one space, and what is read as a whole. */
export interface TextEncoders {
  readonly encodePrompts: Encode;
  readonly encodeAnswers: Encode;
  readonly encodeInput: Encode;
}

/** What a model can read. */
export interface ModelInput {
  readonly kind: ModelKind;
  /** The longest input in tokens. */
  readonly contextTokens: number;
}

/** An example and the record that it belongs to, for errors. */
export interface NamedExample extends Example {
  readonly recordId: string;
}

/** Token ids of what is asked: behind a start token where it is continued, as a whole input where an encoder reads it. */
export function promptIds(
  { encodePrompts, encodeInput }: TextEncoders,
  kind: ModelKind,
  texts: readonly string[],
): Promise<readonly (readonly number[])[]> {
  const bare = texts.map((text) => text.trimEnd());
  return kind === 'decoder' ? encodePrompts(bare) : encodeInput(bare);
}

/** Token ids of answers alone; of a classifier, labels. Texts that are no verdicts have none. */
export async function answerIds(
  { encodeAnswers }: TextEncoders,
  kind: ModelKind,
  texts: readonly string[],
): Promise<readonly (readonly number[])[]> {
  if (kind !== 'classifier') return encodeAnswers(texts);
  return texts.map((text) => [verdictLabel(text)].filter((label) => label !== undefined));
}

/**
 * As the published data sets do it. Decoders: the prompt as it is, behind the tokenizer's own
 * start token; the answer with exactly one leading space.
 * Encoder-decoders: the prompt with the tokenizer's end token, the answer without. Classifiers: the claim with the tokenizer's
 * special tokens, and the label of the verdict.
 * @throws MalmenError that names the record when nothing is left to ask or to answer, or the record is for another kind of model
 */
export async function tokenizeExamples(
  encoders: TextEncoders,
  kind: ModelKind,
  examples: readonly NamedExample[],
): Promise<TokenPair[]> {
  for (const example of examples) assertAnswerable(example, kind);
  const prompts = await promptIds(
    encoders,
    kind,
    examples.map(({ prompt }) => prompt),
  );
  const answers = await answerIds(
    encoders,
    kind,
    examples.map(({ answer }) => answer),
  );
  return examples.map(({ recordId }, at) => {
    const pair = { prompt: prompts[at]!, answer: answers[at]! };
    if (pair.prompt.length === 0) throw emptyPart(recordId, 'prompt');
    if (pair.answer.length === 0) throw emptyPart(recordId, 'answer');
    return pair;
  });
}

function assertAnswerable({ prompt, answer, recordId }: NamedExample, kind: ModelKind): void {
  if (prompt.trim() === '') throw emptyPart(recordId, 'prompt');
  if (answer.trim() === '') throw emptyPart(recordId, 'answer');
  const isVerdict = verdictLabel(answer) !== undefined;
  if (kind === 'classifier' && !isVerdict) {
    throw new MalmenError(
      'mismatch',
      `record ${recordId}: the answer '${answer.trim()}' is no verdict; this model is a fact checker and answers SUPPORTS or ` +
        'REFUTES only: give it claims (fever:PATH), and this record to a model that writes',
    );
  }
  if (kind !== 'classifier' && isVerdict) {
    throw new MalmenError(
      'mismatch',
      `record ${recordId}: '${answer.trim()}' is the verdict on a claim; this model writes answers and checks no claims: give ` +
        'claims to a fact checker (bert), and questions with their answers to this one',
    );
  }
}

function emptyPart(recordId: string, part: 'prompt' | 'answer'): MalmenError {
  return new MalmenError(
    'bad-input',
    `record ${recordId}: the ${part} is empty; every example needs a prompt and an answer`,
  );
}

/** Tokens that the model reads: the prompt, and all of the answer but its last token where the model writes. */
export function inputLength({ prompt, answer }: TokenPair, kind: ModelKind): number {
  if (kind === 'classifier') return prompt.length;
  return kind === 'decoder' ? prompt.length + answer.length - 1 : Math.max(prompt.length, answer.length);
}

/** @throws MalmenError when the model cannot read that much. */
export function assertFitsContext(pair: TokenPair, { kind, contextTokens }: ModelInput, recordId: string): void {
  const length = inputLength(pair, kind);
  if (length <= contextTokens) return;
  const parts = kind === 'classifier' ? 'the claim needs' : 'prompt and answer need';
  throw new MalmenError(
    'bad-input',
    `record ${recordId}: ${parts} ${length} tokens, the model reads at most ${contextTokens}; shorten the prompt`,
  );
}
