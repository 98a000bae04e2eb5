// Batches as the golden files store them: ids, mask, labels and, in some, positions, segments or a decoder's side. Knows no editor.

import { decoderBatchFromPadded } from '../../src/data/batch.js';
import { f32, i64, type TensorOf } from '../../src/tensor.js';
import type { StoredTensors } from './stored-tensors.js';

const noLabel = -100;

export interface StoredBatch {
  readonly tensors: Readonly<Record<'tokenIds' | 'answerRows' | 'labels', TensorOf<'i64'>>> & {
    readonly attentionMask: TensorOf<'f32'>;
    readonly [name: string]: TensorOf<'i64'> | TensorOf<'f32'>;
  };
  readonly answerCounts: readonly number[];
}

/** What a file holds of one batch, as flat numbers. */
class Fields {
  readonly #file: StoredTensors;
  readonly #batch: string;

  constructor(file: StoredTensors, batch: string) {
    this.#file = file;
    this.#batch = batch;
  }

  has(field: string): boolean {
    return this.#file.has(`${this.#batch}.${field}`);
  }

  numbers(field: string): number[] {
    return [...this.#file.numbers(`${this.#batch}.${field}`)];
  }

  shape(field: string): readonly [number, number] {
    return this.#file.shape(`${this.#batch}.${field}`) as readonly [number, number];
  }

  /** Positions count from the padding where none are stored, as the models themselves do it. */
  positions(): number[] {
    const [sequences, tokens] = this.shape('input_ids');
    if (this.has('position_ids')) return this.numbers('position_ids');
    return Array.from({ length: sequences * tokens }, (_, at) => at % tokens);
  }
}

/** The layout tells what the batch is for: a decoder's side, one verdict for each sequence, or shifted labels. */
export function storedBatch(file: StoredTensors, batch: string): StoredBatch {
  const fields = new Fields(file, batch);
  if (fields.has('decoder_input_ids')) return twoSided(fields, fields.numbers('labels'));
  if (isVerdict(fields)) return claims(fields);
  return oneSided(fields, fields.numbers('labels'));
}

/** The same tokens with every real one asked for that the model has logits for: they then come for all of them. */
export function everyTokenBatch(file: StoredTensors, batch: string): StoredBatch {
  const fields = new Fields(file, batch);
  const every = (mask: string) => fields.numbers(mask).map((real) => (real === 1 ? 0 : noLabel));
  if (fields.has('decoder_input_ids')) return twoSided(fields, every('decoder_attention_mask'));
  return isVerdict(fields) ? claims(fields) : oneSided(fields, every('attention_mask'));
}

/** Flat indices, in the stored logits, of the rows that {@link everyTokenBatch} asks for. */
export function everyLogitRow(file: StoredTensors, batch: string): number[] {
  const fields = new Fields(file, batch);
  if (fields.has('decoder_input_ids')) return realRows(fields.numbers('decoder_attention_mask'));
  return isVerdict(fields)
    ? claims(fields).answerCounts.map((_, at) => at)
    : realRows(fields.numbers('attention_mask'));
}

function isVerdict(fields: Fields): boolean {
  return fields.has('token_type_ids') || (fields.has('labels') && fields.shape('labels')[1] === 1);
}

function oneSided(fields: Fields, labels: readonly number[]): StoredBatch {
  return decoderBatchFromPadded({
    shape: fields.shape('input_ids'),
    inputIds: fields.numbers('input_ids'),
    attentionMask: fields.numbers('attention_mask'),
    positionIds: fields.positions(),
    labels,
  });
}

function claims(fields: Fields): StoredBatch {
  const shape = fields.shape('input_ids');
  const [sequences, tokens] = shape;
  const rows = Array.from({ length: sequences }, (_, at) => at * tokens);
  const labels = fields.has('labels') ? fields.numbers('labels') : rows.map(() => 0);
  return {
    tensors: {
      tokenIds: i64(fields.numbers('input_ids'), shape),
      tokenTypes: i64(fields.numbers('token_type_ids'), shape),
      positions: i64(fields.positions(), shape),
      attentionMask: f32(fields.numbers('attention_mask'), shape),
      answerRows: i64(rows, [sequences]),
      labels: i64(labels, [sequences]),
    },
    answerCounts: rows.map(() => 1),
  };
}

function twoSided(fields: Fields, labels: readonly number[]): StoredBatch {
  const width = fields.shape('decoder_input_ids')[1];
  const rows = labels.flatMap((label, at) => (label === noLabel ? [] : [at]));
  const counts = Array.from({ length: fields.shape('input_ids')[0] }, () => 0);
  for (const row of rows) counts[Math.floor(row / width)]!++;
  return {
    tensors: {
      tokenIds: i64(fields.numbers('input_ids'), fields.shape('input_ids')),
      attentionMask: f32(fields.numbers('attention_mask'), fields.shape('input_ids')),
      decoderIds: i64(fields.numbers('decoder_input_ids'), fields.shape('decoder_input_ids')),
      answerRows: i64(rows, [rows.length]),
      labels: i64(
        rows.map((row) => labels[row]!),
        [rows.length],
      ),
    },
    answerCounts: counts,
  };
}

/** The batches `PREFIX.0`, `PREFIX.1`, ... */
export function storedBatches(file: StoredTensors, prefix: string): StoredBatch[] {
  const batches: StoredBatch[] = [];
  while (file.has(`${prefix}.${batches.length}.input_ids`)) {
    batches.push(storedBatch(file, `${prefix}.${batches.length}`));
  }
  return batches;
}

/** Flat indices of the tokens that are not padding. */
export function realRows(mask: ArrayLike<number>): number[] {
  return Array.from(mask).flatMap((real, at) => (real === 1 ? [at] : []));
}

/** Some rows of a matrix `[_, width]`, one after another. */
export function takeRows(matrix: Float64Array, width: number, rows: readonly number[]): number[] {
  return rows.flatMap((row) => [...matrix.subarray(row * width, (row + 1) * width)]);
}
