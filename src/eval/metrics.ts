// Scores of one answer and their means, as the field defines them. Pure arithmetic over predictions.

/** What a model said at the answer tokens of one example, teacher forced. */
export interface AnswerPrediction {
  /** Most likely token at each answer position. */
  readonly predicted: readonly number[];
  /** The answer's tokens. */
  readonly answer: readonly number[];
  /** -log p of each answer token. */
  readonly nll: readonly number[];
}

/** Share of answer tokens that are the most likely ones: the success rate of ES, GS and LS for one example. */
export function success({ predicted, answer }: AnswerPrediction): number {
  return share(answer.map((token, at) => predicted[at] === token));
}

/** Share of positions where two models predict the same token. */
export function agreement(before: readonly number[], after: readonly number[]): number {
  return share(before.map((token, at) => token === after[at]));
}

/** Mean, or undefined for nothing: a metric without examples is absent, not zero. */
export function mean(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function share(hits: readonly boolean[]): number {
  return hits.filter(Boolean).length / hits.length;
}
