// Vector-Jacobian products: for each operation, how the cotangent g of its result flows to its inputs. Each entry is a
// list of functions, one per input, called only for inputs whose gradient is wanted.

import * as b from './build.js';
import { makeValue } from './build.js';
import { multiplyDims, type Shape } from './dim.js';
import type { OpName, Value, ValueOf } from './ops.js';
import { typeText } from './shape-rules.js';

type Cotangent = () => Value;
export type VjpRule<K extends OpName> = (y: ValueOf<K> & Value, g: Value) => readonly Cotangent[];

const noInputs = (): readonly Cotangent[] => [];

function notDifferentiable(y: Value): readonly Cotangent[] {
  const refuse = (): never => {
    throw new TypeError(`${y.op} has no derivative`);
  };
  return y.inputs.map(() => refuse);
}

/** Sums g over the axes along which an operand of `shape` was broadcast. */
function unbroadcast(g: Value, shape: Shape): Value {
  const lead = g.shape.length - shape.length;
  const axes = g.shape.flatMap((dim, axis) => (axis < lead || (shape[axis - lead] === 1 && dim !== 1) ? [axis] : []));
  return b.reshape(b.reduceSum(g, axes, true), shape);
}

const lastAxis = (x: Value) => x.shape.length - 1;
const sumLast = (x: Value) => b.reduceSum(x, [lastAxis(x)], true);
const withLast = (x: Value): Value => b.reshape(x, [...x.shape, 1]);

/** d(op(a) op(b)): dA = g op(b)^T and dB = op(a)^T g, each transposed back where the operand was transposed. */
function productCotangents(
  multiply: typeof b.gemm,
  y: ValueOf<'gemm'> | ValueOf<'matMul'>,
  g: Value,
  alpha: number,
): Cotangent[] {
  const [left, right] = y.inputs as [Value, Value];
  const { transposeA, transposeB } = y.attributes;
  const toLeft = () =>
    transposeA
      ? multiply(right, g, { transposeA: transposeB, transposeB: true, alpha })
      : multiply(g, right, { transposeB: !transposeB, alpha });
  const toRight = () =>
    transposeB
      ? multiply(g, left, { transposeA: true, transposeB: transposeA, alpha })
      : multiply(left, g, { transposeA: !transposeA, alpha });
  return [toLeft, toRight];
}

export const vjpRules: { readonly [K in OpName]: VjpRule<K> } = {
  input: noInputs,
  parameter: noInputs,
  constant: noInputs,
  vector: noInputs,
  toFloat: notDifferentiable,

  add: ({ inputs: [x, y] }, g) => [() => unbroadcast(g, x!.shape), () => unbroadcast(g, y!.shape)],
  sub: ({ inputs: [x, y] }, g) => [() => unbroadcast(g, x!.shape), () => unbroadcast(b.negate(g), y!.shape)],
  mul: ({ inputs: [x, y] }, g) => [
    () => unbroadcast(b.mul(g, y!), x!.shape),
    () => unbroadcast(b.mul(g, x!), y!.shape),
  ],
  // d(x / y) = dx / y - (x / y) dy / y
  div: (q, g) => [
    () => unbroadcast(b.div(g, q.inputs[1]!), q.inputs[0]!.shape),
    () => unbroadcast(b.negate(b.div(b.mul(g, q), q.inputs[1]!)), q.inputs[1]!.shape),
  ],

  exp: (y, g) => [() => b.mul(g, y)],
  log: ({ inputs: [x] }, g) => [() => b.div(g, x!)],
  // d sqrt(x) = dx / (2 y)
  sqrt: (y, g) => [() => b.div(g, b.mul(y, 2))],
  cos: ({ inputs: [x] }, g) => [() => b.negate(b.mul(g, b.sin(x!)))],
  sin: ({ inputs: [x] }, g) => [() => b.mul(g, b.cos(x!))],
  // d tanh(x) = (1 - y^2) dx
  tanh: (y, g) => [() => b.mul(g, b.sub(1, b.mul(y, y)))],
  // d sigmoid(x) = y (1 - y) dx
  sigmoid: (y, g) => [() => b.mul(g, b.mul(y, b.sub(1, y)))],
  relu: ({ inputs: [x], attributes }, g) => [() => makeValue('reluGradient', [x!, g], attributes)],
  reluGradient: notDifferentiable,
  gelu: ({ inputs: [x], attributes }, g) => [() => makeValue('geluGradient', [x!, g], attributes)],
  geluGradient: notDifferentiable,

  gemm(y, g) {
    const product = productCotangents(b.gemm, y, g, y.attributes.alpha);
    return y.inputs.length === 3 ? [...product, () => unbroadcast(g, y.inputs[2]!.shape)] : product;
  },
  matMul: (y, g) => productCotangents(b.matMul, y, g, 1),

  transpose: ({ attributes: { permutation } }, g) => [
    () =>
      b.transpose(
        g,
        permutation.map((_, axis) => permutation.indexOf(axis)),
      ),
  ],
  reshape: ({ inputs: [x] }, g) => [() => b.reshape(g, x!.shape)],
  broadcastTo: ({ inputs: [x] }, g) => [() => unbroadcast(g, x!.shape)],
  reduceSum: ({ inputs: [x], attributes: { axes } }, g) => [
    () =>
      b.broadcastTo(
        b.reshape(
          g,
          x!.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)),
        ),
        x!.shape,
      ),
  ],
  split: ({ attributes }, g) => [() => makeValue('placePart', [g], attributes)],
  placePart: ({ attributes }, g) => [() => makeValue('split', [g], attributes)],
  concat: ({ inputs, attributes: { axis } }, g) => concatCotangents(inputs, axis, g),
  slice: ({ op, inputs: [x], attributes: { axis, start, end } }, g) => [
    () => makeValue('pad', [g], { axis, before: start, after: numericSize(op, x!, axis) - end }),
  ],
  pad: ({ op, inputs: [x], attributes: { axis, before } }, g) => [
    () => b.slice(g, axis, before, before + numericSize(op, x!, axis)),
  ],

  gatherRows: ({ inputs: [table, indices] }, g) => [() => scatterBack(g, table!, indices!), () => noLabelGradient()],
  scatterAddRows: ({ inputs: [, indices] }, g) => [() => b.gatherRows(g, indices!), () => noLabelGradient()],

  // dx = y (g - sum(g y))
  softmax: (y, g) => [() => b.mul(y, b.sub(g, sumLast(b.mul(g, y))))],
  // dx = g - softmax(x) sum(g)
  logSoftmax: (y, g) => [() => b.sub(g, b.mul(b.exp(y), sumLast(g)))],
  crossEntropy: ({ inputs: [logits, labels] }, g) => [
    () => makeValue('crossEntropyGradient', [logits!, labels!, g], {}),
    () => noLabelGradient(),
  ],
  crossEntropyGradient: notDifferentiable,
  // d KL(p || q) / d(logits of q) = q - p
  klDivergence: ({ inputs: [before, after] }, g) => [
    () => {
      throw new TypeError('klDivergence is constant in its first operand');
    },
    () => b.mul(withLast(g), b.sub(b.softmax(after!), b.softmax(before!))),
  ],

  layerNorm: (y, g) => layerNormCotangents(y, g),
  layerNormStatistic: notDifferentiable,
  rmsNorm: (y, g) => rmsNormCotangents(y, g),
  rmsNormStatistic: notDifferentiable,

  argMax: notDifferentiable,
  causalMask: noInputs,
  relativeIndices: noInputs,
};

function numericSize(op: OpName, x: Value, axis: number): number {
  const size = x.shape[axis];
  if (typeof size === 'number') return size;
  throw new TypeError(`${op} has no derivative along axis ${axis} of ${typeText(x)}: its size must be a number`);
}

function concatCotangents(inputs: readonly Value[], axis: number, g: Value): Cotangent[] {
  const size = (x: Value) => numericSize('concat', x, axis);
  return inputs.map((x, at) => () => {
    const start = inputs.slice(0, at).reduce((sum, before) => sum + size(before), 0);
    return b.slice(g, axis, start, start + size(x));
  });
}

function noLabelGradient(): never {
  throw new TypeError('indices have no gradient');
}

function scatterBack(g: Value, table: Value, indices: Value): Value {
  const count = multiplyDims(...indices.shape);
  const flat = b.reshape(g, [count, ...table.shape.slice(1)]);
  return b.scatterAddRows(flat, b.reshape(indices, [count]), table.shape[0]!);
}

/**
 * With n the width, x^ = (x - mean) r, r = 1 / sqrt(var + eps), h = g weight:
 * dx = r (h - sum(h) / n - x^ sum(h x^) / n), dweight = sum of rows g x^, dbias = sum of rows g.
 */
function layerNormCotangents(y: ValueOf<'layerNorm'>, g: Value): Cotangent[] {
  const [x, weight, bias] = y.inputs as [Value, Value, Value];
  const statistic = (which: 'mean' | 'inverseDeviation') =>
    makeValue('layerNormStatistic', y.inputs, { ...y.attributes, statistic: which });
  const r = statistic('inverseDeviation');
  const normalised = () => b.mul(b.sub(x, statistic('mean')), r);
  const toInput = () => {
    const h = b.mul(g, weight);
    const hat = normalised();
    const meanLast = (value: Value) => b.mul(sumLast(value), 1 / (weight.shape[0] as number));
    return b.mul(b.sub(b.sub(h, meanLast(h)), b.mul(hat, meanLast(b.mul(h, hat)))), r);
  };
  return [toInput, () => unbroadcast(b.mul(g, normalised()), weight.shape), () => unbroadcast(g, bias.shape)];
}

/** With n the width, r = 1 / sqrt(mean(x^2) + eps), x^ = x r, h = g weight: dx = r (h - x^ sum(h x^) / n), dweight = sum of rows g x^. */
function rmsNormCotangents(y: ValueOf<'rmsNorm'>, g: Value): Cotangent[] {
  const [x, weight] = y.inputs as [Value, Value];
  const r = makeValue('rmsNormStatistic', y.inputs, y.attributes);
  const hat = b.mul(x, r);
  const toInput = () => {
    const h = b.mul(g, weight);
    const mean = b.mul(sumLast(b.mul(h, hat)), 1 / (weight.shape[0] as number));
    return b.mul(b.sub(h, b.mul(hat, mean)), r);
  };
  return [toInput, () => unbroadcast(b.mul(g, hat), weight.shape)];
}
