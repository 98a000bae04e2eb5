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

/** Which operand holds indices, positions or labels; `reshape` takes both dtypes, every other operand is float32. */
const indexOperand: { readonly [K in OpName]?: number } = {
  toFloat: 0,
  gatherRows: 1,
  scatterAddRows: 1,
  crossEntropy: 1,
  crossEntropyGradient: 1,
};

/** The type of an operation's result. @throws TypeError that says which operation, what must hold and what was got. */
export function resultType<K extends OpName>(op: K, inputs: readonly Value[], attributes: OpAttributes[K]): ResultType {
  inputs.forEach((operand, at) => {
    const must: DType = at === indexOperand[op] ? 'i64' : 'f32';
    if (operand.dtype !== must && op !== 'reshape') fail(op, `operand ${at} must be ${must}`, inputs);
  });
  return (shapeRules[op] as ShapeRule<K>)(inputs, attributes);
}

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

/** The size of an axis that must exist. */
function sizeAt(op: OpName, inputs: readonly Value[], axis: number): Dim {
  return inputs[0]!.shape[axis] ?? fail(op, `there must be an axis ${axis}`, inputs);
}

/** Checks that an operand has a shape that follows from another's. */
function expectShape(op: OpName, inputs: readonly Value[], at: number, shape: Shape): void {
  if (!sameShape(inputs[at]!.shape, shape)) fail(op, `operand ${at} must have shape [${shape.join(', ')}]`, inputs);
}

function sameAsFirst(op: OpName) {
  return (inputs: readonly Value[]): ResultType => {
    expectShape(op, inputs, 1, inputs[0]!.shape);
    return same(inputs);
  };
}

/** The result of an operation over the last axis, which must exist. */
function alongLast(op: OpName) {
  return (inputs: readonly Value[]): ResultType => {
    if (inputs[0]!.shape.length === 0) fail(op, 'the operand must have an axis', inputs);
    return same(inputs);
  };
}

/** [n, classes] -> n. */
function rowsOfLogits(op: OpName, inputs: readonly Value[]): Dim {
  if (inputs[0]!.shape.length !== 2) fail(op, 'logits must be a matrix', inputs);
  return inputs[0]!.shape[0]!;
}

function checkNorm(op: OpName, inputs: readonly Value[]): void {
  const width = inputs[0]!.shape.at(-1);
  if (typeof width !== 'number') fail(op, 'the last axis must have a size that is a number', inputs);
  inputs.slice(1).forEach((_, at) => {
    expectShape(op, inputs, at + 1, inputs[0]!.shape.slice(-1));
  });
}

function partSize(op: OpName, inputs: readonly Value[], dim: Dim | undefined, parts: number): number {
  if (typeof dim !== 'number' || dim % parts !== 0)
    return fail(op, `the axis must be a number divisible by ${parts}`, inputs);
  return dim / parts;
}

const shapeRules: { readonly [K in OpName]: ShapeRule<K> } = {
  input: (_, { shape, dtype }) => ({ shape, dtype }),
  parameter: (_, { shape }) => f32(shape),
  constant: () => f32([]),
  vector: (_, { values }) => f32([values.length]),
  toFloat: same,

  add: broadcastRule('add'),
  sub: broadcastRule('sub'),
  mul: broadcastRule('mul'),
  div: broadcastRule('div'),

  exp: same,
  log: same,
  sqrt: same,
  cos: same,
  sin: same,
  tanh: same,
  sigmoid: same,
  relu: same,
  reluGradient: sameAsFirst('reluGradient'),
  gelu: same,
  geluGradient: sameAsFirst('geluGradient'),

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

  transpose(inputs, { permutation }) {
    const { shape } = inputs[0]!;
    const complete = shape.every((_, axis) => permutation.includes(axis)) && permutation.length === shape.length;
    if (!complete) fail('transpose', `[${permutation.join(', ')}] must name every axis once`, inputs);
    return f32(permutation.map((axis) => shape[axis]!));
  },
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
  reduceSum(inputs, { axes, keepDims }) {
    for (const axis of axes) sizeAt('reduceSum', inputs, axis);
    return f32(inputs[0]!.shape.flatMap((dim, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [dim])));
  },
  split: (inputs, { axis, parts }) =>
    f32(replaceAt(inputs[0]!.shape, axis, partSize('split', inputs, inputs[0]!.shape[axis], parts))),
  placePart(inputs, { axis, parts }) {
    const size = sizeAt('placePart', inputs, axis);
    if (typeof size !== 'number') fail('placePart', 'the axis must have a size that is a number', inputs);
    return f32(replaceAt(inputs[0]!.shape, axis, multiplyDims(size, parts)));
  },
  concat(inputs, { axis, total }) {
    sizeAt('concat', inputs, axis);
    const others = (x: Value) => replaceAt(x.shape, axis, 0);
    if (!inputs.every((x) => sameShape(others(x), others(inputs[0]!))))
      fail('concat', `all sizes but those of axis ${axis} must be equal`, inputs);
    const sizes = inputs.map((x) => x.shape[axis]!);
    const [first] = sizes;
    if (sizes.every((size) => size === first))
      return f32(replaceAt(inputs[0]!.shape, axis, multiplyDims(sizes.length, first!)));
    if (!sizes.every((size) => typeof size === 'number')) {
      if (total !== undefined) return f32(replaceAt(inputs[0]!.shape, axis, total));
      fail('concat', 'the axis must have equal sizes or numbers, or a name for their sum', inputs);
    }
    return f32(
      replaceAt(
        inputs[0]!.shape,
        axis,
        sizes.reduce<number>((sum, size) => sum + (size as number), 0),
      ),
    );
  },
  slice(inputs, { axis, start, end }) {
    const size = sizeAt('slice', inputs, axis);
    const within = start >= 0 && start < end && (typeof size !== 'number' || end <= size);
    if (!within) fail('slice', `[${start}, ${end}) must lie within axis ${axis}`, inputs);
    return f32(replaceAt(inputs[0]!.shape, axis, end - start));
  },
  pad(inputs, { axis, before, after }) {
    const size = sizeAt('pad', inputs, axis);
    if (typeof size !== 'number') return fail('pad', 'the axis must have a size that is a number', inputs);
    return f32(replaceAt(inputs[0]!.shape, axis, before + size + after));
  },

  gatherRows(inputs) {
    sizeAt('gatherRows', inputs, 0);
    return f32([...inputs[1]!.shape, ...inputs[0]!.shape.slice(1)]);
  },
  scatterAddRows(inputs, { rows }) {
    const updates = inputs[0]!.shape;
    expectShape('scatterAddRows', inputs, 1, [sizeAt('scatterAddRows', inputs, 0)]);
    return f32([rows, ...updates.slice(1)]);
  },

  softmax: alongLast('softmax'),
  logSoftmax: alongLast('logSoftmax'),
  crossEntropy(inputs) {
    const rows = [rowsOfLogits('crossEntropy', inputs)];
    expectShape('crossEntropy', inputs, 1, rows);
    return f32(rows);
  },
  crossEntropyGradient(inputs) {
    const rows = [rowsOfLogits('crossEntropyGradient', inputs)];
    expectShape('crossEntropyGradient', inputs, 1, rows);
    expectShape('crossEntropyGradient', inputs, 2, rows);
    return same(inputs);
  },
  klDivergence(inputs) {
    const rows = [rowsOfLogits('klDivergence', inputs)];
    expectShape('klDivergence', inputs, 1, inputs[0]!.shape);
    return f32(rows);
  },

  layerNorm(inputs) {
    checkNorm('layerNorm', inputs);
    return same(inputs);
  },
  layerNormStatistic(inputs) {
    checkNorm('layerNormStatistic', inputs);
    return f32([...inputs[0]!.shape.slice(0, -1), 1]);
  },
  rmsNorm(inputs) {
    checkNorm('rmsNorm', inputs);
    return same(inputs);
  },
  rmsNormStatistic(inputs) {
    checkNorm('rmsNormStatistic', inputs);
    return f32([...inputs[0]!.shape.slice(0, -1), 1]);
  },

  argMax(inputs) {
    const { shape } = alongLast('argMax')(inputs);
    return { shape: shape.slice(0, -1), dtype: 'i64' };
  },
  causalMask: (_, { rows, columns }) => f32([rows, columns]),
  relativeIndices(inputs, { rows, columns, table }) {
    if (table.length % 2 === 0)
      fail('relativeIndices', 'the table must have as many entries on both sides of 0', inputs);
    return { shape: [rows, columns], dtype: 'i64' };
  },
};
