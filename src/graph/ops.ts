// The operations of the tensor language: their attributes, and what a value is. Every other table of this folder
// (shape rules, derivative rules, emission, the interpreter in the tests) has one entry for each name here.

import type { DType } from '../tensor.js';
import type { Dim, Shape } from './dim.js';

/** No attributes. */
type None = Readonly<Record<never, never>>;

/**
 * Operation names and their attributes. Axes count from 0. `[.., n]` means any leading axes.
 * Elementwise binary operations broadcast as NumPy does.
 */
export interface OpAttributes {
  /** Fed at run time. */
  readonly input: { readonly name: string; readonly shape: Shape; readonly dtype: DType };
  /** A tensor of the checkpoint, by its name there. Logically float32 whatever its storage. */
  readonly parameter: { readonly name: string; readonly shape: readonly number[] };
  /** A float32 scalar. */
  readonly constant: { readonly value: number };
  /** A float32 vector that is known in advance. */
  readonly vector: { readonly values: readonly number[] };
  /** Indices (positions) as float32. */
  readonly toFloat: None;

  readonly add: None;
  readonly sub: None;
  readonly mul: None;
  readonly div: None;

  readonly exp: None;
  readonly log: None;
  readonly sqrt: None;
  readonly cos: None;
  readonly sin: None;
  readonly tanh: None;
  readonly sigmoid: None;
  /** max(x, 0). `slopeAtZero` is the derivative at exactly 0: 0 as in language models, 1 as in the hyper-network. */
  readonly relu: { readonly slopeAtZero: 0 | 1 };
  /** (x, g) -> g where x is positive (or zero, with `slopeAtZero` 1), else 0. Not differentiable further. */
  readonly reluGradient: { readonly slopeAtZero: 0 | 1 };
  /** x * Phi(x), with the normal distribution function or its tanh approximation. */
  readonly gelu: { readonly approximate: 'none' | 'tanh' };
  /** (x, g) -> g * gelu'(x). Not differentiable further. */
  readonly geluGradient: { readonly approximate: 'none' | 'tanh' };

  /** alpha * op(a) op(b) + c with a, b matrices; c optional, [columns] or [rows, columns]. */
  readonly gemm: { readonly transposeA: boolean; readonly transposeB: boolean; readonly alpha: number };
  /** Batched op(a) op(b) over equal leading axes, rank 3 and up. */
  readonly matMul: { readonly transposeA: boolean; readonly transposeB: boolean };

  readonly transpose: { readonly permutation: readonly number[] };
  readonly reshape: { readonly shape: Shape };
  readonly broadcastTo: { readonly shape: Shape };
  /** Sum over `axes`, which are kept with size 1 or removed. */
  readonly reduceSum: { readonly axes: readonly number[]; readonly keepDims: boolean };
  /** Part `index` of `parts` equal parts along `axis`. */
  readonly split: { readonly axis: number; readonly parts: number; readonly index: number };
  /** The reverse of `split`: the operand as part `index`, zeros elsewhere. */
  readonly placePart: { readonly axis: number; readonly parts: number; readonly index: number };
  /** `total` names the result's size along `axis` where the operands' named sizes differ: the run then gives its value. */
  readonly concat: { readonly axis: number; readonly total?: string };
  /** Elements [start, end) along `axis`. */
  readonly slice: { readonly axis: number; readonly start: number; readonly end: number };
  /** The reverse of `slice`: zeros before and after along `axis`. */
  readonly pad: { readonly axis: number; readonly before: number; readonly after: number };

  /** (table [n, ..], indices [i..]) -> [i.., ..]. */
  readonly gatherRows: None;
  /** (updates [i, ..], indices [i]) -> [rows, ..]: the sum of the updates with each index, zeros elsewhere. */
  readonly scatterAddRows: { readonly rows: Dim };

  /** Over the last axis. */
  readonly softmax: None;
  /** Over the last axis. */
  readonly logSoftmax: None;
  /** (logits [n, c], labels i64 [n]) -> -log softmax(logits)[label], [n]. */
  readonly crossEntropy: None;
  /** (logits [n, c], labels i64 [n], g [n]) -> g * (softmax(logits) - onehot(labels)). Not differentiable further. */
  readonly crossEntropyGradient: None;
  /** (before [n, c], after [n, c]), both logits -> KL(softmax(before) || softmax(after)), [n]. Constant in `before`. */
  readonly klDivergence: None;

  /** (x [.., n], weight [n], bias [n]) over the last axis. */
  readonly layerNorm: { readonly epsilon: number };
  /** (x, weight, bias) as layerNorm -> mean or 1 / sqrt(variance + epsilon), [.., 1]. Not differentiable further. */
  readonly layerNormStatistic: { readonly epsilon: number; readonly statistic: 'mean' | 'inverseDeviation' };

  /** (x [.., n], weight [n]) -> x weight / sqrt(mean(x^2) + epsilon) over the last axis. */
  readonly rmsNorm: { readonly epsilon: number };
  /** (x, weight) as rmsNorm -> 1 / sqrt(mean(x^2) + epsilon), [.., 1]. Not differentiable further. */
  readonly rmsNormStatistic: { readonly epsilon: number };

  /** Index of the largest element of the last axis (the first of equals), i64, that axis removed. */
  readonly argMax: None;
  /**
   * [rows, columns], the rows being the last of the columns: 0 where column <= row + columns - rows, `maskedScore` above that
   * diagonal.
   */
  readonly causalMask: { readonly rows: Dim; readonly columns: Dim };
  /** -> i64 [rows, columns]: `table[m + d]` with d = column - row, held within -m and m, of a table with 2m + 1 entries. */
  readonly relativeIndices: { readonly rows: Dim; readonly columns: Dim; readonly table: readonly number[] };
}

export type OpName = keyof OpAttributes;

/**
 * What is added to an attention score to switch it off. Finite, so that a row with every key switched off (padding) stays a
 * number; large enough that exp(score - max) is exactly 0 in float32, small enough that two of them do not overflow.
 */
export const maskedScore = -1e30;

/** One node of an expression graph: immutable, with its inputs. Built only by the functions of `build.ts`. */
export interface ValueOf<K extends OpName> {
  readonly op: K;
  readonly attributes: OpAttributes[K];
  readonly inputs: readonly Value[];
  readonly shape: Shape;
  readonly dtype: DType;
}

export type Value = { [K in OpName]: ValueOf<K> }[OpName];

/** The inputs that the gradient flow never enters: indices, labels. */
export function isDifferentiable(value: Value): boolean {
  return value.dtype === 'f32';
}
