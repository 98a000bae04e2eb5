// A batch as a model reads it: named tensors, the dimensions that they fix, and which of its tokens are real.

import { i64, type Tensor } from '../tensor.js';

/** What a model reads: named tensors, as `data/` makes them. */
export interface ModelBatch {
  readonly tensors: Readonly<Record<string, Tensor>>;
}

/** The named dimensions that a batch fixes. */
export function batchDims({ tensors }: ModelBatch): Record<string, number> {
  const [batch, tokens] = tensors.tokenIds!.shape as [number, number];
  const taps = tensors.tapRows?.shape[0];
  // With a memory the mask also covers the tokens before these.
  const context = tensors.attentionMask?.shape[1] ?? tokens;
  const decoderTokens = tensors.decoderIds?.shape[1];
  return {
    batch,
    tokens,
    context,
    past: context - tokens,
    answers: tensors.answerRows!.shape[0]!,
    ...(taps === undefined ? {} : { taps }),
    ...(decoderTokens === undefined ? {} : { decoderTokens }),
  };
}

/** The batch with the rows that are captured where a layer has no answers of its own: all real tokens. */
export function withTapRows({ tensors }: ModelBatch): ModelBatch {
  const rows = realTokens(tensors.attentionMask!);
  return { tensors: { ...tensors, tapRows: i64(rows, [rows.length]) } };
}

/** Flat indices of the tokens that are not padding. */
export function realTokens({ data }: Tensor): number[] {
  return [...data].flatMap((real, at) => (Number(real) === 1 ? [at] : []));
}

/**
 * Value gradients at answers go backward through answers alone (`LanguageModelPrograms.tapped`): a gap in between would lose
 * what passes through it.
 * @throws TypeError when the answers of a decoder's sequence are not a run of tokens
 */
export function assertAnswersFollow({ tensors }: ModelBatch): void {
  const width = tensors.decoderIds?.shape[1] ?? tensors.tokenIds!.shape[1]!;
  const rows = Array.from(tensors.answerRows!.data, Number);
  const gap = rows.findIndex((row, at) => {
    const before = rows[at - 1];
    return before !== undefined && row !== before + 1 && Math.floor(row / width) === Math.floor(before / width);
  });
  if (gap >= 0) throw new TypeError(`capture: the answers of sequence ${Math.floor(rows[gap]! / width)} have a gap`);
}
