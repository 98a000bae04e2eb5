// What a fresh vocabulary has besides the learnt tokens, for each kind of model: special tokens, which of them stand around a
// whole input, and whether every text starts like a word inside a sentence.

import type { ModelKind } from '../util/model-kind.js';

export interface InputLayout {
  /** Ids 0, 1, ... in this order. */
  readonly special: readonly string[];
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** A space is put before every text, so that its first word is the same token as inside a sentence. */
  readonly prefixSpace: boolean;
}

export const inputLayouts: Readonly<Record<ModelKind, InputLayout>> = {
  // GPT-2's: prompts are encoded as they are, and one token ends a text.
  decoder: { special: ['<|endoftext|>'], before: [], after: [], prefixSpace: false },
  // T5's: padding, which also starts the decoder, and the end of an input or an answer.
  'encoder-decoder': { special: ['<pad>', '</s>'], before: [], after: ['</s>'], prefixSpace: true },
  // BERT's: the verdict is read off the first token.
  classifier: { special: ['[PAD]', '[CLS]', '[SEP]'], before: ['[CLS]'], after: ['[SEP]'], prefixSpace: true },
};
