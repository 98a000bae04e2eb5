// The outline that all decoder-only models share: embedding, blocks, final norm, head, and which rows are computed. Knows no
// architecture.

import { gatherRows, gemm, input, parameter, reshape } from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import type { Sight } from './attention.js';
import type { Forward, ForwardOptions } from './model.js';

/** Picks the rows that a block goes on with, from [batch*tokens, ..]; in most blocks all of them. */
export type KeepRows = (rows: Value) => Value;

export interface DecoderParts {
  readonly blocks: number;
  readonly sight: Sight;
  /** [batch*tokens, width] */
  embed(): Value;
  /**
   * [batch*tokens, width] -> [rows, width]. Whatever depends on other tokens takes all rows; what follows, the residual
   * stream included, takes `keep` of them.
   */
  block(index: number, x: Value, keep: KeepRows): Value;
  /** [answers, width] -> [answers, width] */
  finalNorm(x: Value): Value;
  /** [answers, width] -> [answers, vocabulary] */
  head(x: Value): Value;
}

export function decoderForward(parts: DecoderParts, options: ForwardOptions): Omit<Forward, 'taps'> {
  const toAnswers: KeepRows = (rows) => gatherRows(rows, input('answerRows', ['answers'], 'i64'));
  const everyRow: KeepRows = (rows) => rows;
  const hidden = [parts.embed()];
  for (let index = 0; index < parts.blocks; index++) {
    const answersOnly = options.answersOnlyInLastBlock && index === parts.blocks - 1;
    hidden.push(parts.block(index, hidden[index]!, answersOnly ? toAnswers : everyRow));
  }
  const last = hidden.pop()!;
  const normalised = parts.finalNorm(last.shape[0] === 'answers' ? last : toAnswers(last));
  const { memory } = parts.sight;
  return {
    logits: parts.head(normalised),
    hidden: [...hidden, normalised],
    ...(memory ? { memory: memory.outputs } : {}),
  };
}

/** Rows of a table `[entries, width]` by the ids or positions of an input: [batch*tokens, width]. */
export function embedding(name: string, [entries, width]: readonly [number, number], indices: Value): Value {
  return reshape(gatherRows(parameter(name, [entries, width]), indices), ['batch*tokens', width]);
}

export const tokenIds = () => input('tokenIds', ['batch', 'tokens'], 'i64');

/** x weight^T (+ bias) with a weight [vocabulary, width]: a matrix of its own, or the tied embedding. */
export function vocabularyHead(x: Value, weight: string, vocabulary: number, bias?: string): Value {
  const table = parameter(weight, [vocabulary, x.shape[1] as number]);
  const plus = bias === undefined ? {} : { plus: parameter(bias, [vocabulary]) };
  return gemm(x, table, { transposeB: true, ...plus });
}
