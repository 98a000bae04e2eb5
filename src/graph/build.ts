// Builders: one free function per operation, which checks shapes and returns a value. Trivial identities (adding zero,
// multiplying by one) are not built.

import type { DType } from '../tensor.js';
import { type Dim, type Shape, sameShape } from './dim.js';
import type { OpAttributes, OpName, Value, ValueOf } from './ops.js';
import { resultType } from './shape-rules.js';

/** The one constructor of values: the type of the result follows from the shape rule. */
export function makeValue<K extends OpName>(op: K, inputs: readonly Value[], attributes: OpAttributes[K]): Value {
  const value: ValueOf<K> = { op, inputs, attributes, ...resultType(op, inputs, attributes) };
  return value as Value;
}

export const input = (name: string, shape: Shape, dtype: DType = 'f32'): Value =>
  makeValue('input', [], { name, shape, dtype });
export const parameter = (name: string, shape: readonly number[]): Value => makeValue('parameter', [], { name, shape });
export const constant = (value: number): Value => makeValue('constant', [], { value });

type Operand = Value | number;
const lift = (x: Operand): Value => (typeof x === 'number' ? constant(x) : x);
const isConstant = (x: Value, value: number) => x.op === 'constant' && x.attributes.value === value;

export function add(a: Operand, b: Operand): Value {
  const [x, y] = [lift(a), lift(b)];
  if (isConstant(y, 0)) return x;
  return isConstant(x, 0) ? y : makeValue('add', [x, y], {});
}

export const sub = (a: Operand, b: Operand): Value => makeValue('sub', [lift(a), lift(b)], {});

export function mul(a: Operand, b: Operand): Value {
  const [x, y] = [lift(a), lift(b)];
  if (isConstant(y, 1)) return x;
  return isConstant(x, 1) ? y : makeValue('mul', [x, y], {});
}

export const div = (a: Operand, b: Operand): Value => makeValue('div', [lift(a), lift(b)], {});
export const vector = (values: readonly number[]): Value => makeValue('vector', [], { values });
export const toFloat = (x: Value): Value => makeValue('toFloat', [x], {});
export const negate = (x: Value): Value => mul(x, -1);
export const exp = (x: Value): Value => makeValue('exp', [x], {});
export const log = (x: Value): Value => makeValue('log', [x], {});
export const sqrt = (x: Value): Value => makeValue('sqrt', [x], {});
export const cos = (x: Value): Value => makeValue('cos', [x], {});
export const sin = (x: Value): Value => makeValue('sin', [x], {});
export const tanh = (x: Value): Value => makeValue('tanh', [x], {});
export const sigmoid = (x: Value): Value => makeValue('sigmoid', [x], {});
export const relu = (x: Value, slopeAtZero: 0 | 1 = 0): Value => makeValue('relu', [x], { slopeAtZero });
export const gelu = (x: Value, approximate: 'none' | 'tanh'): Value => makeValue('gelu', [x], { approximate });

export interface GemmOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly alpha?: number;
  /** Added to the product: a row [columns] or a whole matrix. */
  readonly plus?: Value;
}

/** Matrix product of two matrices, with an optional addend. */
export function gemm(
  a: Value,
  b: Value,
  { transposeA = false, transposeB = false, alpha = 1, plus }: GemmOptions = {},
): Value {
  return makeValue('gemm', plus ? [a, b, plus] : [a, b], { transposeA, transposeB, alpha });
}

/** `sum` + `term`, inside the matrix product that makes `term` where that is possible, instead of in a pass of its own. */
export function addTo(term: Value, sum: Value): Value {
  const product = term.op === 'gemm' && term.inputs.length === 2 && sameShape(term.shape, sum.shape);
  return product ? makeValue('gemm', [...term.inputs, sum], term.attributes) : add(term, sum);
}

/** Batched matrix product, rank 3 and up. */
export function matMul(
  a: Value,
  b: Value,
  { transposeA = false, transposeB = false }: Omit<GemmOptions, 'plus'> = {},
): Value {
  return makeValue('matMul', [a, b], { transposeA, transposeB });
}

export const transpose = (x: Value, permutation: readonly number[]): Value =>
  makeValue('transpose', [x], { permutation });

export function reshape(x: Value, shape: Shape): Value {
  return sameShape(x.shape, shape) ? x : makeValue('reshape', [x], { shape });
}

export function broadcastTo(x: Value, shape: Shape): Value {
  return sameShape(x.shape, shape) ? x : makeValue('broadcastTo', [x], { shape });
}

/** Sum over some axes (all of them by default). */
export function reduceSum(x: Value, axes: readonly number[] = x.shape.map((_, axis) => axis), keepDims = false): Value {
  return axes.length === 0 ? x : makeValue('reduceSum', [x], { axes, keepDims });
}

/** `parts` equal parts along an axis. */
export function split(x: Value, axis: number, parts: number): Value[] {
  return Array.from({ length: parts }, (_, index) => makeValue('split', [x], { axis, parts, index }));
}

export const concat = (values: readonly Value[], axis: number, total?: string): Value =>
  makeValue('concat', values, { axis, ...(total === undefined ? {} : { total }) });
export const slice = (x: Value, axis: number, start: number, end: number): Value =>
  makeValue('slice', [x], { axis, start, end });
/** Zeros before and after along an axis. */
export const pad = (x: Value, axis: number, before: number, after: number): Value =>
  makeValue('pad', [x], { axis, before, after });
export const gatherRows = (table: Value, indices: Value): Value => makeValue('gatherRows', [table, indices], {});
export const scatterAddRows = (updates: Value, indices: Value, rows: Dim): Value =>
  makeValue('scatterAddRows', [updates, indices], { rows });
export const softmax = (x: Value): Value => makeValue('softmax', [x], {});
export const logSoftmax = (x: Value): Value => makeValue('logSoftmax', [x], {});
export const crossEntropy = (logits: Value, labels: Value): Value => makeValue('crossEntropy', [logits, labels], {});
export const klDivergence = (before: Value, after: Value): Value => makeValue('klDivergence', [before, after], {});
export const layerNorm = (x: Value, weight: Value, bias: Value, epsilon: number): Value =>
  makeValue('layerNorm', [x, weight, bias], { epsilon });
export const rmsNorm = (x: Value, weight: Value, epsilon: number): Value =>
  makeValue('rmsNorm', [x, weight], { epsilon });
export const argMax = (x: Value): Value => makeValue('argMax', [x], {});
export const causalMask = (rows: Dim, columns: Dim = rows): Value => makeValue('causalMask', [], { rows, columns });
export const relativeIndices = (rows: Dim, columns: Dim, table: readonly number[]): Value =>
  makeValue('relativeIndices', [], { rows, columns, table });
