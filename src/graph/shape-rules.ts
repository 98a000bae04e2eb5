// The shape and dtype of every operation's result, and the errors for operands that do not fit.

import type { DType } from '../tensor.js';
import { type Dim, multiplyDims, type Shape, sameShape } from './dim.js';
import type { OpAttributes, OpName, Value } from './ops.js';

export interface ResultType {
  readonly shape: Shape;
  readonly dtype: DType;
}

type ShapeRule<K extends OpName> = (inputs: readonly Value[], attributes: OpAttributes[K]) => ResultType;

const f32 = (shape: Shape): ResultType => ({ shape, dtype: 'f32' });
const same = ([x]: readonly Value[]): ResultType => f32(x!.shape);

export function typeText(value: { readonly dtype: DType; readonly shape: Shape }): string {
  return `${value.dtype}[${value.shape.join(', ')}]`;
}

function fail(op: OpName, must: string, inputs: readonly Value[]): never {
  throw new TypeError(`${op}: ${must}, got ${inputs.map(typeText).join(' and ')}`);
}

function broadcastRule(op: OpName) {
  return (inputs: readonly Value[]): ResultType => {
    const [a, b] = inputs as [Value, Value];
    const rank = Math.max(a.shape.length, b.shape.length);
    const shape = Array.from({ length: rank }, (_, axis) => {
      const x = a.shape[axis - rank + a.shape.length] ?? 1;
      const y = b.shape[axis - rank + b.shape.length] ?? 1;
      if (x === y || y === 1) return x;
      if (x === 1) return y;
      return fail(op, 'sizes must be equal or 1', inputs);
    });
    return f32(shape);
  };
}

function swapLast(shape: Shape, swap: boolean): Shape {
  return swap ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape;
}

function productShape(
  op: 'gemm' | 'matMul',
  inputs: readonly Value[],
  attributes: { transposeA: boolean; transposeB: boolean },
): Shape {
  const [a, b] = inputs as [Value, Value];
  const left = swapLast(a.shape, attributes.transposeA);
  const right = swapLast(b.shape, attributes.transposeB);
  if (left.at(-1) !== right.at(-2)) {
    const swapped = left.at(-1) === right.at(-1) ? '; did you mean to transpose b?' : '';
    fail(op, `inner sizes ${left.at(-1)} and ${right.at(-2)} differ${swapped}`, inputs);
  }
  if (!sameShape(left.slice(0, -2), right.slice(0, -2))) fail(op, 'leading sizes must be equal', inputs);
  return [...left.slice(0, -1), right.at(-1)!];
}

function elements(shape: Shape): Dim {
  return multiplyDims(...shape);
}

function replaceAt(shape: Shape, axis: number, dim: Dim): Shape {
  return shape.map((old, at) => (at === axis ? dim : old));
}

function partSize(op: OpName, inputs: readonly Value[], dim: Dim | undefined, parts: number): number {
  if (typeof dim !== 'number' || dim % parts !== 0)
    return fail(op, `the axis must be a number divisible by ${parts}`, inputs);
  return dim / parts;
}

export const shapeRules: { readonly [K in OpName]: ShapeRule<K> } = {
  input: (_, { shape, dtype }) => ({ shape, dtype }),
  parameter: (_, { shape }) => f32(shape),
  constant: () => f32([]),

  add: broadcastRule('add'),
  sub: broadcastRule('sub'),
  mul: broadcastRule('mul'),
  div: broadcastRule('div'),

  exp: same,
  log: same,
  sqrt: same,
  tanh: same,
  sigmoid: same,
  relu: same,
  reluGradient: same,
  gelu: same,
  geluGradient: same,

  gemm(inputs, attributes) {
    if (inputs[0]!.shape.length !== 2 || inputs[1]!.shape.length !== 2)
      fail('gemm', 'operands must be matrices', inputs);
    const shape = productShape('gemm', inputs, attributes);
    const c = inputs[2]?.shape;
    if (c && !sameShape(c, shape) && !sameShape(c, shape.slice(1))) {
      fail('gemm', `the third operand must be [${shape[1]}] or [${shape.join(', ')}]`, inputs);
    }
    return f32(shape);
  },
  matMul(inputs, attributes) {
    if (inputs[0]!.shape.length < 3)
      fail('matMul', 'operands must have rank 3 or more (gemm multiplies matrices)', inputs);
    return f32(productShape('matMul', inputs, attributes));
  },

  transpose: ([x], { permutation }) => f32(permutation.map((axis) => x!.shape[axis]!)),
  reshape(inputs, { shape }) {
    if (elements(inputs[0]!.shape) !== elements(shape)) fail('reshape', `cannot become [${shape.join(', ')}]`, inputs);
    return { shape, dtype: inputs[0]!.dtype };
  },
  broadcastTo(inputs, { shape }) {
    const from = inputs[0]!.shape;
    const fits = from.every((dim, axis) => dim === 1 || dim === shape[shape.length - from.length + axis]);
    if (!fits || from.length > shape.length) fail('broadcastTo', `cannot become [${shape.join(', ')}]`, inputs);
    return f32(shape);
  },
  reduceSum: ([x], { axes, keepDims }) =>
    f32(x!.shape.flatMap((dim, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [dim]))),
  split: (inputs, { axis, parts }) =>
    f32(replaceAt(inputs[0]!.shape, axis, partSize('split', inputs, inputs[0]!.shape[axis], parts))),
  placePart: ([x], { axis, parts }) => f32(replaceAt(x!.shape, axis, multiplyDims(x!.shape[axis]!, parts))),
  concat(inputs, { axis }) {
    const sizes = inputs.map((x) => x.shape[axis]!);
    const [first] = sizes;
    if (sizes.every((size) => size === first))
      return f32(replaceAt(inputs[0]!.shape, axis, multiplyDims(sizes.length, first!)));
    if (!sizes.every((size) => typeof size === 'number'))
      fail('concat', 'the axis must have equal sizes or numbers', inputs);
    return f32(
      replaceAt(
        inputs[0]!.shape,
        axis,
        sizes.reduce<number>((sum, size) => sum + (size as number), 0),
      ),
    );
  },
  slice: ([x], { axis, start, end }) => f32(replaceAt(x!.shape, axis, end - start)),
  pad(inputs, { axis, before, after }) {
    const size = inputs[0]!.shape[axis];
    if (typeof size !== 'number') return fail('pad', 'the axis must have a size that is a number', inputs);
    return f32(replaceAt(inputs[0]!.shape, axis, before + size + after));
  },

  gatherRows: ([table, indices]) => f32([...indices!.shape, ...table!.shape.slice(1)]),
  scatterAddRows: ([updates], { rows }) => f32([rows, ...updates!.shape.slice(1)]),

  softmax: same,
  logSoftmax: same,
  crossEntropy: ([logits]) => f32(logits!.shape.slice(0, -1)),
  crossEntropyGradient: same,
  klDivergence(inputs) {
    if (!sameShape(inputs[0]!.shape, inputs[1]!.shape))
      fail('klDivergence', 'both operands must have one shape', inputs);
    return f32(inputs[0]!.shape.slice(0, -1));
  },

  layerNorm: same,
  layerNormStatistic: ([x]) => f32([...x!.shape.slice(0, -1), 1]),

  argMax: ([x]) => ({ shape: x!.shape.slice(0, -1), dtype: 'i64' }),
  causalMask: (_, { size }) => f32([size, size]),
};
