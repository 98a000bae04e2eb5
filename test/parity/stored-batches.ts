// Batches as the golden files store them: ids, mask, shifted labels and, in some, positions. Knows no editor.

import { type DecoderBatch, decoderBatchFromPadded } from '../../src/data/batch.js';
import { i64 } from '../../src/tensor.js';
import type { StoredTensors } from './stored-tensors.js';

const noLabel = -100;

interface PaddedIds {
  readonly shape: readonly [number, number];
  readonly inputIds: readonly number[];
  readonly attentionMask: readonly number[];
  readonly positionIds: readonly number[];
}

/** Positions count from the padding where none are stored, as the model itself does it. */
function paddedIds(file: StoredTensors, batch: string): PaddedIds {
  const [sequences, tokens] = file.shape(`${batch}.input_ids`) as [number, number];
  const positions = `${batch}.position_ids`;
  const counted = Array.from({ length: sequences * tokens }, (_, at) => at % tokens);
  return {
    shape: [sequences, tokens],
    inputIds: [...file.numbers(`${batch}.input_ids`)],
    attentionMask: [...file.numbers(`${batch}.attention_mask`)],
    positionIds: file.has(positions) ? [...file.numbers(positions)] : counted,
  };
}

export function storedBatch(file: StoredTensors, batch: string): DecoderBatch {
  return decoderBatchFromPadded({ ...paddedIds(file, batch), labels: [...file.numbers(`${batch}.labels`)] });
}

/** The same tokens with every real one asked for: logits then come for all of them. */
export function everyTokenBatch(file: StoredTensors, batch: string): DecoderBatch {
  const ids = paddedIds(file, batch);
  return decoderBatchFromPadded({ ...ids, labels: ids.attentionMask.map((real) => (real === 1 ? 0 : noLabel)) });
}

/** The batches `PREFIX.0`, `PREFIX.1`, ... */
export function storedBatches(file: StoredTensors, prefix: string): DecoderBatch[] {
  const batches: DecoderBatch[] = [];
  while (file.has(`${prefix}.${batches.length}.input_ids`)) {
    batches.push(storedBatch(file, `${prefix}.${batches.length}`));
  }
  return batches;
}

/** What capturing at all real tokens needs beside the batch. */
export function withTapRows({ tensors }: DecoderBatch) {
  const rows = realRows(tensors.attentionMask.data);
  return { tensors: { ...tensors, tapRows: i64(rows, [rows.length]) } };
}

/** Flat indices of the tokens that are not padding. */
export function realRows(mask: ArrayLike<number>): number[] {
  return Array.from(mask).flatMap((real, at) => (real === 1 ? [at] : []));
}

/** Some rows of a matrix `[_, width]`, one after another. */
export function takeRows(matrix: Float64Array, width: number, rows: readonly number[]): number[] {
  return rows.flatMap((row) => [...matrix.subarray(row * width, (row + 1) * width)]);
}
