// How each operation is written in ONNX, opset 21: one entry per operation. Knows nothing of files or sessions.

import type { Dim, Shape } from './dim.js';
import { maskedScore, type OpName, type Value, type ValueOf } from './ops.js';

/** The name of a value inside the ONNX graph. */
export type Name = string;
export type NodeAttributes = Readonly<Record<string, number | string | readonly number[] | { readonly float: number }>>;

/** What a rule may ask of the writer. Equal nodes are written once. */
export interface Emitter {
  /** Adds a node and names its outputs; `outputs` says how many it has. */
  nodes(op: string, inputs: readonly Name[], attributes?: NodeAttributes, outputs?: number): readonly Name[];
  /** A float32 constant scalar. */
  number(value: number): Name;
  /** A float32 constant vector. */
  numbers(values: readonly number[]): Name;
  /** An int64 constant vector. */
  integers(values: readonly number[]): Name;
  /** An int64 vector that holds a shape, the named dimensions taken from the run. */
  shape(shape: Shape): Name;
}

type EmitRule<K extends OpName> = (e: Emitter, inputs: readonly Name[], value: ValueOf<K> & Value) => Name;

const one = (e: Emitter, op: string, inputs: readonly Name[], attributes?: NodeAttributes) =>
  e.nodes(op, inputs, attributes)[0]!;
const plain = (op: string) => (e: Emitter, inputs: readonly Name[]) => one(e, op, inputs);
const overLast = (op: string) => (e: Emitter, inputs: readonly Name[]) => one(e, op, inputs, { axis: -1 });
const flag = (on: boolean) => (on ? 1 : 0);

/** The number by which ONNX calls float32. */
const onnxFloat = 1;

/** Reshape target: at most one size may be unknown, written -1; more come from the run. */
function reshapeTarget(e: Emitter, shape: Shape): Name {
  const unknown = shape.filter((dim) => typeof dim === 'string').length;
  return unknown <= 1 ? e.integers(shape.map((dim) => (typeof dim === 'string' ? -1 : dim))) : e.shape(shape);
}

function zerosOf(e: Emitter, shape: Shape): Name {
  return one(e, 'ConstantOfShape', [e.shape(shape)]);
}

function swapLastTwo(e: Emitter, x: Name, rank: number): Name {
  const axes = Array.from({ length: rank }, (_, axis) => axis);
  return one(e, 'Transpose', [x], { perm: [...axes.slice(0, -2), rank - 1, rank - 2] });
}

function padAxis(e: Emitter, x: Name, shape: Shape, axis: number, before: number, after: number): Name {
  const pads = (count: number) => shape.map((_, at) => (at === axis ? count : 0));
  return one(e, 'Pad', [x, e.integers([...pads(before), ...pads(after)])]);
}

const column = (e: Emitter, x: Name) => one(e, 'Unsqueeze', [x, e.integers([1])]);

/** With u = c (x + a x^3), gelu(x) ~ x sigmoid(2u): s + x s (1 - s) 2c (1 + 3a x^2). */
function tanhGeluGradient(e: Emitter, x: Name, g: Name): Name {
  const c2 = 2 * Math.sqrt(2 / Math.PI);
  const square = one(e, 'Mul', [x, x]);
  const inner = one(e, 'Add', [one(e, 'Mul', [square, e.number(c2 * 0.044715)]), e.number(c2)]);
  const slope = one(e, 'Add', [one(e, 'Mul', [square, e.number(3 * c2 * 0.044715)]), e.number(c2)]);
  const s = one(e, 'Sigmoid', [one(e, 'Mul', [x, inner])]);
  const rest = one(e, 'Sub', [e.number(1), s]);
  const bend = one(e, 'Mul', [one(e, 'Mul', [x, slope]), rest]);
  const derivative = one(e, 'Mul', [s, one(e, 'Add', [bend, e.number(1)])]);
  return one(e, 'Mul', [g, derivative]);
}

/** gelu'(x) = Phi(x) + x phi(x). */
function exactGeluGradient(e: Emitter, x: Name, g: Name): Name {
  const erf = one(e, 'Erf', [one(e, 'Mul', [x, e.number(Math.SQRT1_2)])]);
  const cumulative = one(e, 'Mul', [one(e, 'Add', [erf, e.number(1)]), e.number(0.5)]);
  const density = one(e, 'Exp', [one(e, 'Mul', [one(e, 'Mul', [x, x]), e.number(-0.5)])]);
  const tail = one(e, 'Mul', [one(e, 'Mul', [x, density]), e.number(1 / Math.sqrt(2 * Math.PI))]);
  return one(e, 'Mul', [g, one(e, 'Add', [cumulative, tail])]);
}

/** 1 where there are as many rows as columns. */
function firstMaskedDiagonal(e: Emitter, rows: Dim, columns: Dim): Name {
  const first = e.integers([1]);
  const earlier = () => one(e, 'Sub', [e.shape([columns]), e.shape([rows])]);
  return one(e, 'Squeeze', [rows === columns ? first : one(e, 'Add', [earlier(), first])]);
}

const logProbabilities = (e: Emitter, logits: Name) => one(e, 'LogSoftmax', [logits], { axis: -1 });

function layerNormNode(e: Emitter, inputs: readonly Name[], epsilon: number): readonly Name[] {
  return e.nodes('LayerNormalization', inputs, { axis: -1, epsilon: { float: epsilon } }, 3);
}

/** The runtime's own operation; ONNX has one (RMSNormalization, opset 23) that gives no statistic. */
function rmsNormNode(e: Emitter, inputs: readonly Name[], epsilon: number): readonly Name[] {
  return e.nodes('SimplifiedLayerNormalization', inputs, { axis: -1, epsilon: { float: epsilon } }, 2);
}

/** An int64 constant scalar. */
const integer = (e: Emitter, value: number) => one(e, 'Squeeze', [e.integers([value])]);

/** 0, 1, ... below `size`, with an axis of size 1 at `axis`. */
function counted(e: Emitter, size: Dim, axis: 0 | 1): Name {
  const count = one(e, 'Squeeze', [e.shape([size])]);
  return one(e, 'Unsqueeze', [one(e, 'Range', [integer(e, 0), count, integer(e, 1)]), e.integers([axis])]);
}

export const emitRules: { readonly [K in Exclude<OpName, 'input' | 'parameter' | 'constant'>]: EmitRule<K> } = {
  vector: (e, _, { attributes: { values } }) => e.numbers(values),
  toFloat: (e, inputs) => one(e, 'Cast', inputs, { to: onnxFloat }),

  add: plain('Add'),
  sub: plain('Sub'),
  mul: plain('Mul'),
  div: plain('Div'),

  exp: plain('Exp'),
  log: plain('Log'),
  sqrt: plain('Sqrt'),
  cos: plain('Cos'),
  sin: plain('Sin'),
  tanh: plain('Tanh'),
  sigmoid: plain('Sigmoid'),
  relu: plain('Relu'),
  reluGradient(e, [x, g], { attributes: { slopeAtZero } }) {
    const passes = one(e, slopeAtZero ? 'GreaterOrEqual' : 'Greater', [x!, e.number(0)]);
    return one(e, 'Where', [passes, g!, e.number(0)]);
  },
  gelu: (e, inputs, { attributes: { approximate } }) => one(e, 'Gelu', inputs, { approximate }),
  geluGradient: (e, [x, g], { attributes }) =>
    attributes.approximate === 'tanh' ? tanhGeluGradient(e, x!, g!) : exactGeluGradient(e, x!, g!),

  gemm: (e, inputs, { attributes: { transposeA, transposeB, alpha } }) =>
    one(e, 'Gemm', inputs, { transA: flag(transposeA), transB: flag(transposeB), alpha: { float: alpha } }),
  matMul(e, [a, b], { inputs, attributes: { transposeA, transposeB } }) {
    const rank = inputs[0]!.shape.length;
    const left = transposeA ? swapLastTwo(e, a!, rank) : a!;
    const right = transposeB ? swapLastTwo(e, b!, rank) : b!;
    return one(e, 'MatMul', [left, right]);
  },

  transpose: (e, inputs, { attributes }) => one(e, 'Transpose', inputs, { perm: attributes.permutation }),
  reshape: (e, [x], { attributes: { shape } }) => one(e, 'Reshape', [x!, reshapeTarget(e, shape)]),
  broadcastTo: (e, [x], { attributes: { shape } }) => one(e, 'Expand', [x!, e.shape(shape)]),
  reduceSum: (e, [x], { attributes: { axes, keepDims } }) =>
    one(e, 'ReduceSum', [x!, e.integers(axes)], { keepdims: flag(keepDims) }),
  split: (e, inputs, { attributes: { axis, parts, index } }) =>
    e.nodes('Split', inputs, { axis, num_outputs: parts }, parts)[index]!,
  placePart(e, [x], { inputs, attributes: { axis, parts, index } }) {
    const size = inputs[0]!.shape[axis] as number;
    return padAxis(e, x!, inputs[0]!.shape, axis, index * size, (parts - 1 - index) * size);
  },
  concat: (e, inputs, { attributes: { axis } }) => one(e, 'Concat', inputs, { axis }),

  slice: (e, [x], { attributes: { axis, start, end } }) =>
    one(e, 'Slice', [x!, e.integers([start]), e.integers([end]), e.integers([axis])]),
  pad: (e, [x], { inputs, attributes: { axis, before, after } }) =>
    padAxis(e, x!, inputs[0]!.shape, axis, before, after),

  gatherRows: (e, inputs) => one(e, 'Gather', inputs, { axis: 0 }),
  // Not ScatterND, whose CPU kernel loses updates of equal indices when several threads add them.
  scatterAddRows(e, [updates, indices], { shape }) {
    const aligned = one(e, 'Unsqueeze', [indices!, e.integers(shape.slice(1).map((_, axis) => axis + 1))]);
    const everyElement = one(e, 'Expand', [aligned, one(e, 'Shape', [updates!])]);
    return one(e, 'ScatterElements', [zerosOf(e, shape), everyElement, updates!], { axis: 0, reduction: 'add' });
  },

  softmax: overLast('Softmax'),
  logSoftmax: overLast('LogSoftmax'),
  crossEntropy(e, [logits, labels]) {
    const picked = one(e, 'GatherElements', [logProbabilities(e, logits!), column(e, labels!)], { axis: 1 });
    return one(e, 'Neg', [one(e, 'Squeeze', [picked, e.integers([1])])]);
  },
  // g (p - onehot(label)): the one-hot matrix is never made; -g is added at the labels.
  crossEntropyGradient(e, [logits, labels, g]) {
    const weight = column(e, g!);
    const probabilities = one(e, 'Exp', [logProbabilities(e, logits!)]);
    const scaled = one(e, 'Mul', [probabilities, weight]);
    return one(e, 'ScatterElements', [scaled, column(e, labels!), one(e, 'Neg', [weight])], {
      axis: 1,
      reduction: 'add',
    });
  },
  // sum of p (log p - log q)
  klDivergence(e, [before, after]) {
    const logP = logProbabilities(e, before!);
    const gap = one(e, 'Sub', [logP, logProbabilities(e, after!)]);
    const terms = one(e, 'Mul', [one(e, 'Softmax', [before!], { axis: -1 }), gap]);
    return one(e, 'ReduceSum', [terms, e.integers([1])], { keepdims: 0 });
  },

  layerNorm: (e, inputs, { attributes }) => layerNormNode(e, inputs, attributes.epsilon)[0]!,
  layerNormStatistic: (e, inputs, { attributes: { epsilon, statistic } }) =>
    layerNormNode(e, inputs, epsilon)[statistic === 'mean' ? 1 : 2]!,
  rmsNorm: (e, inputs, { attributes }) => rmsNormNode(e, inputs, attributes.epsilon)[0]!,
  rmsNormStatistic: (e, inputs, { attributes }) => rmsNormNode(e, inputs, attributes.epsilon)[1]!,

  argMax: (e, inputs) => one(e, 'ArgMax', inputs, { axis: -1, keepdims: 0 }),
  causalMask(e, _, { attributes: { rows, columns } }) {
    const full = one(e, 'Expand', [e.number(maskedScore), e.shape([rows, columns])]);
    return one(e, 'Trilu', [full, firstMaskedDiagonal(e, rows, columns)], { upper: 1 });
  },
  relativeIndices(e, _, { attributes: { rows, columns, table } }) {
    const most = (table.length - 1) / 2;
    const [row, column] = [counted(e, rows, 1), counted(e, columns, 0)]; // [rows, 1] and [1, columns]
    const distance = one(e, 'Sub', [column, row]);
    const held = one(e, 'Clip', [distance, integer(e, -most), integer(e, most)]);
    return one(e, 'Gather', [e.integers(table), one(e, 'Add', [held, integer(e, most)])], { axis: 0 });
  },
};
