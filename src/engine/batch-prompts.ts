// The prompts of a padded batch: how many real tokens each has, what tells it from all others, and a batch of some of them.
// Knows no model.

import { createHash } from 'node:crypto';
import type { Tensor } from '../tensor.js';
import type { ModelBatch } from './model-batch.js';

/** The tokens of one side of a model: an encoder-decoder has two. */
export type TokenSide = 'tokens' | 'decoderTokens';

export const tokenSides = ['tokens', 'decoderTokens'] as const;

export interface BatchPrompt {
  /** Equal for prompts of which a model computes the same, whatever the padding and the prompts beside them. */
  readonly key: string;
  /** Real tokens, with which its row begins; the decoder's only where the batch has one. */
  readonly lengths: Readonly<Partial<Record<TokenSide, number>>>;
}

/** Padded tokens of each side that a batch has. */
export function sideWidths({ tensors }: ModelBatch): ReadonlyMap<TokenSide, number> {
  const widths = new Map<TokenSide, number>([['tokens', tensors.tokenIds!.shape[1]!]]);
  if (tensors.decoderIds) widths.set('decoderTokens', tensors.decoderIds.shape[1]!);
  return widths;
}

/**
 * Of every row of a batch, in order; undefined where a row does not begin with its real tokens: with padding before them,
 * attention adds up in another order.
 */
export function batchPrompts(batch: ModelBatch): BatchPrompt[] | undefined {
  const size = batch.tensors.tokenIds!.shape[0]!;
  const prompts: BatchPrompt[] = [];
  for (let row = 0; row < size; row++) {
    const tokens = realLength(batch, row);
    const decoderTokens = batch.tensors.decoderIds && answeredLength(batch, row);
    if (tokens === 0 || decoderTokens === 0) return undefined;
    const lengths = { tokens, ...(decoderTokens ? { decoderTokens } : {}) };
    prompts.push({ key: promptKey(batch, row, lengths), lengths });
  }
  return prompts;
}

/** 0 where padding stands before a real token. */
function realLength({ tensors }: ModelBatch, row: number): number {
  const { data, shape } = tensors.attentionMask!;
  const width = shape[1]!;
  const mask = Array.from(data.subarray(row * width, (row + 1) * width), Number);
  const length = mask.lastIndexOf(1) + 1;
  return mask.indexOf(0) >= 0 && mask.indexOf(0) < length ? 0 : length;
}

/** A decoder's real tokens end with its last answer; padding comes after. */
function answeredLength({ tensors }: ModelBatch, row: number): number {
  const width = tensors.decoderIds!.shape[1]!;
  const own = Array.from(tensors.answerRows!.data, Number).filter((at) => Math.floor(at / width) === row);
  return Math.max(row * width - 1, ...own) - row * width + 1;
}

/**
 * Whatever a batch holds for each token, of the real ones. A side of one token alone is computed by other kernels than a wider
 * one, with other roundings: that tells prompts apart, too.
 */
function promptKey(batch: ModelBatch, row: number, lengths: BatchPrompt['lengths']): string {
  const hash = createHash('sha256');
  for (const [side, width] of sideWidths(batch)) {
    const length = lengths[side]!;
    for (const [name, { data, shape }] of perToken(batch, side)) {
      const first = row * shape[1]!;
      const { buffer, byteOffset, BYTES_PER_ELEMENT } = data;
      hash.update(`${name} ${length} ${width === 1};`);
      hash.update(new Uint8Array(buffer, byteOffset + first * BYTES_PER_ELEMENT, length * BYTES_PER_ELEMENT));
    }
  }
  return hash.digest('hex').slice(0, 32);
}

/** The tensors with a number for each token of a side, except the mask, in a fixed order. */
function perToken({ tensors }: ModelBatch, side: TokenSide): [string, Tensor][] {
  if (side === 'decoderTokens') return [['decoderIds', tensors.decoderIds!]];
  const own = Object.entries(tensors).filter(
    ([name, { shape }]) => shape.length === 2 && name !== 'decoderIds' && name !== 'attentionMask',
  );
  return own.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The batch of these rows, padded as they are. Answer rows and labels stay those of the whole batch: no forward pass reads them. */
export function pickPrompts({ tensors }: ModelBatch, rows: readonly number[]): ModelBatch {
  const size = tensors.tokenIds!.shape[0]!;
  const picked = Object.entries(tensors).map(([name, tensor]): [string, Tensor] => {
    const { data, shape, dtype } = tensor;
    if (shape.length !== 2) return [name, tensor];
    const width = data.length / size;
    const target = new (data.constructor as typeof Float32Array)(rows.length * width);
    for (const [at, row] of rows.entries()) {
      target.set((data as Float32Array).subarray(row * width, (row + 1) * width), at * width);
    }
    return [name, { dtype, shape: [rows.length, width], data: target } as Tensor];
  });
  return { tensors: Object.fromEntries(picked) };
}
