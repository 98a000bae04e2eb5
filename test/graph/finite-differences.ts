// Derivatives by central differences in float64: the truth for gradient graphs. Knows no derivative rule.

import type { Value } from '../../src/graph/ops.js';
import { makeProgram } from '../../src/graph/program.js';
import { type Feeds64, interpret, type Tensor64 } from './interpreter.js';

/** Truncation h^2 f''' / 6 and rounding 1e-16 f / h are both near 1e-11. */
const step = 1e-5;

export interface Weighted {
  readonly value: Value;
  /** The function differentiated is the sum of `value` times these weights. */
  readonly cotangent: Tensor64;
  readonly feeds: Feeds64;
  readonly dims?: Readonly<Record<string, number>>;
}

function weightedSum({ value, cotangent, dims }: Weighted): (feeds: Feeds64) => number {
  const program = makeProgram({ result: value });
  return (feeds) => {
    const { data } = interpret(program, feeds, dims).get('result')!;
    return data.reduce((sum, x, i) => sum + x * cotangent.data[i]!, 0);
  };
}

/** d(sum of cotangent * value) along a direction of the feed called `name`. */
export function directionalDerivative(weighted: Weighted, name: string, direction: Float64Array): number {
  const f = weightedSum(weighted);
  const { shape, data } = weighted.feeds[name]!;
  const moved = (by: number): number =>
    f({ ...weighted.feeds, [name]: { shape, data: data.map((x, i) => x + by * direction[i]!) } });
  return (moved(step) - moved(-step)) / (2 * step);
}

/** d(sum of cotangent * value) / d(each element of the feed called `name`). */
export function finiteDifferences(weighted: Weighted, name: string): Tensor64 {
  const { shape, data } = weighted.feeds[name]!;
  const unit = (at: number) => data.map((_, i) => (i === at ? 1 : 0));
  return { shape, data: data.map((_, at) => directionalDerivative(weighted, name, unit(at))) };
}
