// What every operation means, in float64 and plain loops: the truth that emission and derivatives are tested against.
// Each rule says what one element of the result is. Knows no runtime and shares no arithmetic with src.

import { evaluateShape, type Shape } from '../../src/graph/dim.js';
import type { OpAttributes, OpName, Value } from '../../src/graph/ops.js';
import type { Program } from '../../src/graph/program.js';

/** Row-major. Integers (indices, labels) are held as float64 as well. */
export interface Tensor64 {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** By name; parameters as `@name`, as the runtime wants them. */
export type Feeds64 = Readonly<Record<string, Tensor64>>;

type Index = readonly number[];
type Element = (index: Index) => number;
type Rule<K extends OpName> = (
  inputs: readonly Tensor64[],
  attributes: OpAttributes[K],
  shape: readonly number[],
) => Element;

export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Computes the named outputs of a program. `dims` gives named dimensions that no feed tells by itself. */
export function interpret(
  program: Program,
  feeds: Feeds64,
  dims: Readonly<Record<string, number>> = {},
): ReadonlyMap<string, Tensor64> {
  const sizes = new Map(Object.entries(dims));
  for (const { attributes, shape } of program.inputs) learnDims(shape, feedOf(feeds, attributes.name), sizes);
  const computed = new Map<Value, Tensor64>();
  for (const value of program.order) computed.set(value, compute(value, computed, feeds, sizes));
  return new Map([...program.outputs].map(([name, value]) => [name, computed.get(value)!]));
}

function learnDims(shape: Shape, feed: Tensor64, sizes: Map<string, number>): void {
  shape.forEach((dim, axis) => {
    if (typeof dim === 'string' && !dim.includes('*')) sizes.set(dim, feed.shape[axis]!);
  });
}

function feedOf(feeds: Feeds64, name: string): Tensor64 {
  const feed = feeds[name];
  if (!feed) throw new Error(`interpreter: '${name}' was not fed`);
  return feed;
}

function compute(
  value: Value,
  computed: ReadonlyMap<Value, Tensor64>,
  feeds: Feeds64,
  sizes: ReadonlyMap<string, number>,
): Tensor64 {
  const shape = evaluateShape(value.shape, sizes);
  if (value.op === 'input') return expectShape(feedOf(feeds, value.attributes.name), shape, value.attributes.name);
  if (value.op === 'parameter') {
    return expectShape(feedOf(feeds, `@${value.attributes.name}`), shape, value.attributes.name);
  }
  const inputs = value.inputs.map((operand) => computed.get(operand)!);
  const rule = rules[value.op] as (
    inputs: readonly Tensor64[],
    attributes: unknown,
    shape: readonly number[],
  ) => Element;
  return build(shape, rule(inputs, value.attributes, shape));
}

function expectShape(feed: Tensor64, shape: readonly number[], name: string): Tensor64 {
  if (feed.shape.join() !== shape.join()) {
    throw new Error(`interpreter: '${name}' must be [${shape}], got [${feed.shape}]`);
  }
  return feed;
}

/** Every multi-index of a shape, last axis fastest. */
function* indices(shape: readonly number[]): Generator<number[]> {
  const count = countOf(shape);
  for (let flat = 0; flat < count; flat++) {
    const index: number[] = [];
    let rest = flat;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index.unshift(rest % shape[axis]!);
      rest = Math.floor(rest / shape[axis]!);
    }
    yield index;
  }
}

function build(shape: readonly number[], element: Element): Tensor64 {
  const data = new Float64Array(countOf(shape));
  let flat = 0;
  for (const index of indices(shape)) data[flat++] = element(index);
  return { shape, data };
}

/** The element at an index; axes of size 1 repeat, and leading axes of the index that the tensor lacks are ignored. */
function at({ shape, data }: Tensor64, index: Index): number {
  const lead = index.length - shape.length;
  let flat = 0;
  shape.forEach((size, axis) => {
    const position = size === 1 ? 0 : index[lead + axis]!;
    if (!(position >= 0 && position < size)) throw new Error(`interpreter: index ${index} is outside [${shape}]`);
    flat = flat * size + position;
  });
  return data[flat]!;
}

/** Sum of `count` terms. */
function sum(count: number, term: (k: number) => number): number {
  let total = 0;
  for (let k = 0; k < count; k++) total += term(k);
  return total;
}

const lastSize = ({ shape }: Tensor64) => shape.at(-1)!;
const withAxis = (index: Index, axis: number, position: number) => index.map((old, a) => (a === axis ? position : old));

const unary =
  (f: (x: number) => number) =>
  ([x]: readonly Tensor64[]): Element =>
  (index) =>
    f(at(x!, index));

const binary =
  (f: (x: number, y: number) => number) =>
  ([x, y]: readonly Tensor64[]): Element =>
  (index) =>
    f(at(x!, index), at(y!, index));

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const density = (x: number) => Math.exp(-(x * x) / 2) / Math.sqrt(2 * Math.PI);

/** Phi(x) = 1/2 + phi(x) (x + x^3/3 + x^5/(3 5) + x^7/(3 5 7) + ...), all of one sign: Marsaglia 2004. */
function normalDistribution(x: number): number {
  if (Math.abs(x) > 9) return x > 0 ? 1 : 0;
  let term = x;
  let series = x;
  for (let n = 3; Math.abs(term) > 1e-18; n += 2) {
    term *= (x * x) / n;
    series += term;
  }
  return 0.5 + density(x) * series;
}

const gelu = {
  none: (x: number) => x * normalDistribution(x),
  tanh: (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
};

const geluSlope = {
  none: (x: number) => normalDistribution(x) + x * density(x),
  tanh(x: number) {
    const c = Math.sqrt(2 / Math.PI);
    const t = Math.tanh(c * (x + 0.044715 * x ** 3));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x);
  },
};

/** Element [.., row, column] of op(a) op(b). */
function product(
  [a, b]: readonly Tensor64[],
  { transposeA, transposeB }: { readonly transposeA: boolean; readonly transposeB: boolean },
): Element {
  const inner = a!.shape.at(transposeA ? -2 : -1)!;
  return (index) => {
    const [lead, row, column] = [index.slice(0, -2), index.at(-2)!, index.at(-1)!];
    return sum(inner, (k) => {
      const left = at(a!, [...lead, ...(transposeA ? [k, row] : [row, k])]);
      const right = at(b!, [...lead, ...(transposeB ? [column, k] : [k, column])]);
      return left * right;
    });
  };
}

/** log(sum over the last axis of exp(x)), the row's maximum taken out. `row` lacks the last index. */
function logSumExp(x: Tensor64, row: Index): number {
  const n = lastSize(x);
  let largest = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < n; k++) largest = Math.max(largest, at(x, [...row, k]));
  return largest + Math.log(sum(n, (k) => Math.exp(at(x, [...row, k]) - largest)));
}

const logProbability = (x: Tensor64, index: Index) => at(x, index) - logSumExp(x, index.slice(0, -1));

function mean(x: Tensor64, row: Index): number {
  return sum(lastSize(x), (k) => at(x, [...row, k])) / lastSize(x);
}

function inverseDeviation(x: Tensor64, row: Index, epsilon: number): number {
  const centre = mean(x, row);
  const variance = sum(lastSize(x), (k) => (at(x, [...row, k]) - centre) ** 2) / lastSize(x);
  return 1 / Math.sqrt(variance + epsilon);
}

function inverseRootMeanSquare(x: Tensor64, row: Index, epsilon: number): number {
  return 1 / Math.sqrt(sum(lastSize(x), (k) => at(x, [...row, k]) ** 2) / lastSize(x) + epsilon);
}

function argMax(x: Tensor64, row: Index): number {
  let best = 0;
  for (let k = 1; k < lastSize(x); k++) if (at(x, [...row, k]) > at(x, [...row, best])) best = k;
  return best;
}

/** An operand moved to start at `start` along `axis`, zeros elsewhere. */
function placed(x: Tensor64, axis: number, start: number): Element {
  return (index) => {
    const position = index[axis]! - start;
    return position >= 0 && position < x.shape[axis]! ? at(x, withAxis(index, axis, position)) : 0;
  };
}

const shifted =
  (x: Tensor64, axis: number, start: number): Element =>
  (index) =>
    at(x, withAxis(index, axis, index[axis]! + start));

function concatenated(inputs: readonly Tensor64[], axis: number): Element {
  return (index) => {
    let position = index[axis]!;
    for (const x of inputs) {
      if (position < x.shape[axis]!) return at(x, withAxis(index, axis, position));
      position -= x.shape[axis]!;
    }
    throw new Error('interpreter: concat index outside');
  };
}

/** Sum over the axes of x that were removed or kept with size 1. */
function reduced(x: Tensor64, axes: readonly number[], keepDims: boolean): Element {
  const summed = axes.map((axis) => x.shape[axis]!);
  return (index) => {
    let total = 0;
    for (const inner of indices(summed)) {
      let next = 0;
      const full = x.shape.map((_, axis) => {
        const along = axes.indexOf(axis);
        if (along < 0) return index[next++]!;
        if (keepDims) next++;
        return inner[along]!;
      });
      total += at(x, full);
    }
    return total;
  };
}

/** The element with the same row-major position. */
function sameOrder(x: Tensor64, shape: readonly number[]): Element {
  return (index) => x.data[index.reduce((flat, position, axis) => flat * shape[axis]! + position, 0)]!;
}

const passes = (x: number, slopeAtZero: 0 | 1) => x > 0 || (x === 0 && slopeAtZero === 1);

const rules: { readonly [K in Exclude<OpName, 'input' | 'parameter'>]: Rule<K> } = {
  constant:
    (_, { value }) =>
    () =>
      value,

  vector:
    (_, { values }) =>
    ([position]) =>
      values[position!]!,
  toFloat: unary((x) => x),

  add: binary((x, y) => x + y),
  sub: binary((x, y) => x - y),
  mul: binary((x, y) => x * y),
  div: binary((x, y) => x / y),

  exp: unary(Math.exp),
  log: unary(Math.log),
  sqrt: unary(Math.sqrt),
  cos: unary(Math.cos),
  sin: unary(Math.sin),
  tanh: unary(Math.tanh),
  sigmoid: unary(sigmoid),
  relu: unary((x) => Math.max(x, 0)),
  reluGradient: (inputs, { slopeAtZero }) => binary((x, g) => (passes(x, slopeAtZero) ? g : 0))(inputs),
  gelu: (inputs, { approximate }) => unary(gelu[approximate])(inputs),
  geluGradient: (inputs, { approximate }) => binary((x, g) => g * geluSlope[approximate](x))(inputs),

  gemm(inputs, attributes) {
    const element = product(inputs, attributes);
    const c = inputs[2];
    return (index) => attributes.alpha * element(index) + (c ? at(c, index) : 0);
  },
  matMul: product,

  transpose:
    ([x], { permutation }) =>
    (index) =>
      at(
        x!,
        x!.shape.map((_, axis) => index[permutation.indexOf(axis)]!),
      ),
  reshape: ([x], _, shape) => sameOrder(x!, shape),
  broadcastTo:
    ([x]) =>
    (index) =>
      at(x!, index),
  reduceSum: ([x], { axes, keepDims }) => reduced(x!, axes, keepDims),
  split: ([x], { axis, parts, index }) => shifted(x!, axis, (index * x!.shape[axis]!) / parts),
  placePart: ([x], { axis, index }) => placed(x!, axis, index * x!.shape[axis]!),
  concat: (inputs, { axis }) => concatenated(inputs, axis),
  slice: ([x], { axis, start }) => shifted(x!, axis, start),
  pad: ([x], { axis, before }) => placed(x!, axis, before),

  gatherRows:
    ([table, chosen]) =>
    (index) => {
      const rank = chosen!.shape.length;
      return at(table!, [at(chosen!, index.slice(0, rank)), ...index.slice(rank)]);
    },
  scatterAddRows:
    ([updates, chosen]) =>
    ([row, ...rest]) =>
      sum(updates!.shape[0]!, (i) => (at(chosen!, [i]) === row ? at(updates!, [i, ...rest]) : 0)),

  softmax:
    ([x]) =>
    (index) =>
      Math.exp(logProbability(x!, index)),
  logSoftmax:
    ([x]) =>
    (index) =>
      logProbability(x!, index),
  crossEntropy:
    ([logits, labels]) =>
    (row) =>
      -logProbability(logits!, [...row, at(labels!, row)]),
  crossEntropyGradient:
    ([logits, labels, g]) =>
    (index) => {
      const row = index.slice(0, -1);
      const hit = at(labels!, row) === index.at(-1) ? 1 : 0;
      return at(g!, row) * (Math.exp(logProbability(logits!, index)) - hit);
    },
  klDivergence:
    ([before, after]) =>
    (row) =>
      sum(lastSize(before!), (k) => {
        const logP = logProbability(before!, [...row, k]);
        return Math.exp(logP) * (logP - logProbability(after!, [...row, k]));
      }),

  layerNorm:
    ([x, weight, bias], { epsilon }) =>
    (index) => {
      const row = index.slice(0, -1);
      const normalised = (at(x!, index) - mean(x!, row)) * inverseDeviation(x!, row, epsilon);
      return normalised * at(weight!, index) + at(bias!, index);
    },
  layerNormStatistic:
    ([x], { epsilon, statistic }) =>
    (index) => {
      const row = index.slice(0, -1);
      return statistic === 'mean' ? mean(x!, row) : inverseDeviation(x!, row, epsilon);
    },
  rmsNorm:
    ([x, weight], { epsilon }) =>
    (index) =>
      at(x!, index) * inverseRootMeanSquare(x!, index.slice(0, -1), epsilon) * at(weight!, index),
  rmsNormStatistic:
    ([x], { epsilon }) =>
    (index) =>
      inverseRootMeanSquare(x!, index.slice(0, -1), epsilon),

  argMax:
    ([x]) =>
    (row) =>
      argMax(x!, row),
  causalMask:
    (_, __, [rows, columns]) =>
    ([row, column]) =>
      column! - columns! <= row! - rows! ? 0 : -1e30,
  relativeIndices:
    (_, { table }) =>
    ([row, column]) => {
      const most = (table.length - 1) / 2;
      return table[most + Math.max(-most, Math.min(most, column! - row!))]!;
    },
};
