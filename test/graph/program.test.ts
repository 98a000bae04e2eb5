// Programs hold what their outputs need, once; builders refuse operands that do not fit and say why.

import { describe, expect, test } from 'vitest';
import * as b from '../../src/graph/build.js';
import { emitProgram } from '../../src/graph/emit.js';
import type { Value } from '../../src/graph/ops.js';
import { printProgram } from '../../src/graph/print.js';
import { makeProgram, topologicalOrder } from '../../src/graph/program.js';

const input = (...shape: (number | string)[]) => b.input('x', shape);
const other = (...shape: (number | string)[]) => b.input('y', shape);
const indices = (...shape: (number | string)[]) => b.input('i', shape, 'i64');

const countOps = (value: Value) => makeProgram({ value }).order.length;

describe('makeProgram', () => {
  test('equal expressions are one value', () => {
    const once = () => b.exp(b.mul(input(3), b.parameter('w', [3])));
    const { order, outputs } = makeProgram({ sum: b.add(once(), once()), alone: once() });
    expect(order.map(({ op }) => op)).toEqual(['input', 'parameter', 'mul', 'exp', 'add']);
    expect(outputs.get('sum')!.inputs).toEqual([outputs.get('alone'), outputs.get('alone')]);
  });

  test.each([
    ['attributes', b.relu(input(3), 0), b.relu(input(3), 1)],
    ['operand order', b.sub(input(3), other(3)), b.sub(other(3), input(3))],
    ['operations', b.exp(input(3)), b.tanh(input(3))],
    ['constants', b.mul(input(3), 2), b.mul(input(3), 3)],
    ['infinities', b.mul(input(3), Number.POSITIVE_INFINITY), b.mul(input(3), Number.NEGATIVE_INFINITY)],
    ['parameters and inputs', b.exp(b.input('x', [3])), b.exp(b.parameter('x', [3]))],
  ])('different %s are different values', (_, x, y) => {
    const { outputs } = makeProgram({ x, y });
    expect(outputs.get('x')).not.toBe(outputs.get('y'));
  });

  test('what no output needs is left out', () => {
    const [left, right] = b.split(input(4), 0, 2) as [Value, Value];
    b.exp(right);
    const program = makeProgram({ left });
    expect(program.order.map(({ op }) => op)).toEqual(['input', 'split']);
    expect(program.inputs.map(({ attributes }) => attributes.name)).toEqual(['x']);
    expect(program.parameters).toEqual([]);
  });

  test('operands come before results, for graphs deeper than a call stack', () => {
    let deep = input(1);
    for (let level = 0; level < 50_000; level++) deep = b.tanh(deep);
    const order = topologicalOrder([deep]);
    expect(order).toHaveLength(50_001);
    expect(order[0]!.op).toBe('input');
    expect(order.at(-1)).toBe(deep);
  });

  test('one name with two types is refused', () => {
    const value = b.add(b.parameter('w', [3]), b.reduceSum(b.parameter('w', [2])));
    expect(() => makeProgram({ value })).toThrow("parameter 'w' must have one type, got f32[3] and f32[2]");
  });
});

test('a program without outputs is not emitted', () => {
  expect(() => emitProgram(makeProgram({}), () => 'fed')).toThrow('a program without outputs computes nothing');
});

describe('trivial identities are not built', () => {
  const x = input('tokens', 3);
  test.each([
    ['x + 0', b.add(x, 0)],
    ['0 + x', b.add(0, x)],
    ['x * 1', b.mul(x, 1)],
    ['1 * x', b.mul(1, x)],
    ['reshape to its shape', b.reshape(x, ['tokens', 3])],
    ['broadcast to its shape', b.broadcastTo(x, ['tokens', 3])],
    ['sum over no axis', b.reduceSum(x, [])],
  ])('%s', (_, value) => {
    expect(value).toBe(x);
  });

  test('a sum with something else than zero is', () => {
    expect(countOps(b.add(x, 1))).toBe(3);
  });
});

test('addTo goes into a matrix product that has no addend yet', () => {
  const product = b.gemm(input('n', 2), b.parameter('w', [2, 3]), { alpha: 2 });
  const sum = b.input('sum', ['n', 3]);
  const [first, second] = [
    b.addTo(product, sum),
    b.addTo(b.gemm(input('n', 2), b.parameter('w', [2, 3]), { plus: sum }), sum),
  ];
  expect(first.op).toBe('gemm');
  expect(first.inputs).toEqual([...product.inputs, sum]);
  expect(first.attributes).toEqual(product.attributes);
  expect(second.op).toBe('add');
});

test('printProgram shows one operation a line', () => {
  const x = b.input('x', ['batch*tokens', 2]);
  const y = b.gemm(x, b.parameter('w', [3, 2]), { transposeB: true, alpha: 0.5 });
  expect(printProgram(makeProgram({ y, loss: b.reduceSum(b.mul(y, 2)) }))).toMatchInlineSnapshot(`
    "$x: f32[batch*tokens, 2]
    @w: f32[3, 2]
    %2: f32[batch*tokens, 3] = gemm($x, @w, transposeB, alpha=0.5)
    %3: f32[batch*tokens, 3] = mul(%2, 2)
    %4: f32[] = reduceSum(%3, axes=[0,1])
    return y = %2, loss = %4"
  `);
});

describe('operands that do not fit', () => {
  const cases: Record<string, [() => Value, string]> = {
    'broadcast of two sizes': [
      () => b.add(input(2, 3), other(4)),
      'add: sizes must be equal or 1, got f32[2, 3] and f32[4]',
    ],
    'broadcast of two names': [
      () => b.mul(input('batch'), other('tokens')),
      'mul: sizes must be equal or 1, got f32[batch] and f32[tokens]',
    ],
    'arithmetic on indices': [() => b.add(indices(2), 1), 'add: operand 0 must be f32, got i64[2] and f32[]'],
    'gemm of another rank': [
      () => b.gemm(input(2, 3, 4), other(4, 5)),
      'gemm: operands must be matrices, got f32[2, 3, 4] and f32[4, 5]',
    ],
    'inner sizes': [
      () => b.gemm(input(8, 64), other(32, 48)),
      'gemm: inner sizes 64 and 32 differ, got f32[8, 64] and f32[32, 48]',
    ],
    'a forgotten transposition': [
      () => b.gemm(input(8, 64), other(32, 64)),
      'gemm: inner sizes 64 and 32 differ; did you mean to transpose b?, got f32[8, 64] and f32[32, 64]',
    ],
    'an addend of rows': [
      () => b.gemm(input(8, 64), other(64, 3), { plus: b.parameter('c', [8]) }),
      'gemm: the third operand must be [3] or [8, 3], got f32[8, 64] and f32[64, 3] and f32[8]',
    ],
    'matMul of matrices': [
      () => b.matMul(input(2, 3), other(3, 4)),
      'matMul: operands must have rank 3 or more (gemm multiplies matrices), got f32[2, 3] and f32[3, 4]',
    ],
    'matMul of other batches': [
      () => b.matMul(input('batch', 2, 3), other('tokens', 3, 4)),
      'matMul: leading sizes must be equal, got f32[batch, 2, 3] and f32[tokens, 3, 4]',
    ],
    'a permutation that repeats': [
      () => b.transpose(input(2, 3), [1, 1]),
      'transpose: [1, 1] must name every axis once, got f32[2, 3]',
    ],
    'reshape to another count': [
      () => b.reshape(input('batch', 'tokens', 4), ['batch', 4]),
      'reshape: cannot become [batch, 4], got f32[batch, tokens, 4]',
    ],
    'broadcast to a smaller shape': [
      () => b.broadcastTo(input(2, 3), [3]),
      'broadcastTo: cannot become [3], got f32[2, 3]',
    ],
    'a sum over a missing axis': [() => b.reduceSum(input(2), [1]), 'reduceSum: there must be an axis 1, got f32[2]'],
    'parts that do not divide': [
      () => b.split(input(2, 5), 1, 3)[0]!,
      'split: the axis must be a number divisible by 3, got f32[2, 5]',
    ],
    'parts of a named axis': [
      () => b.split(input('tokens', 6), 0, 3)[0]!,
      'split: the axis must be a number divisible by 3, got f32[tokens, 6]',
    ],
    'a concatenation of other widths': [
      () => b.concat([input('n', 2), other('n', 3)], 0),
      'concat: all sizes but those of axis 0 must be equal, got f32[n, 2] and f32[n, 3]',
    ],
    'a concatenation of two names': [
      () => b.concat([input('n', 2), other('m', 2)], 0),
      'concat: the axis must have equal sizes or numbers, or a name for their sum, got f32[n, 2] and f32[m, 2]',
    ],
    'a slice beyond the end': [
      () => b.slice(input(2, 5), 1, 3, 6),
      'slice: [3, 6) must lie within axis 1, got f32[2, 5]',
    ],
    'padding of a named axis': [
      () => b.makeValue('pad', [input('n')], { axis: 0, before: 1, after: 0 }),
      'pad: the axis must have a size that is a number, got f32[n]',
    ],
    'rows chosen by reals': [
      () => b.gatherRows(input(5, 2), other(3)),
      'gatherRows: operand 1 must be i64, got f32[5, 2] and f32[3]',
    ],
    'another count of updates': [
      () => b.scatterAddRows(input(4, 2), indices(3), 9),
      'scatterAddRows: operand 1 must have shape [4], got f32[4, 2] and i64[3]',
    ],
    'softmax of a scalar': [() => b.softmax(b.constant(1)), 'softmax: the operand must have an axis, got f32[]'],
    'cross-entropy by batch and token': [
      () => b.crossEntropy(input('batch', 'tokens', 9), indices('batch', 'tokens')),
      'crossEntropy: logits must be a matrix, got f32[batch, tokens, 9] and i64[batch, tokens]',
    ],
    'another count of labels': [
      () => b.crossEntropy(input('answers', 9), indices('tokens')),
      'crossEntropy: operand 1 must have shape [answers], got f32[answers, 9] and i64[tokens]',
    ],
    'divergence of other shapes': [
      () => b.klDivergence(input('answers', 9), other('answers', 8)),
      'klDivergence: operand 1 must have shape [answers, 9], got f32[answers, 9] and f32[answers, 8]',
    ],
    'a norm weight of another width': [
      () => b.layerNorm(input('n', 4), b.parameter('weight', [3]), b.parameter('bias', [4]), 1e-5),
      'layerNorm: operand 1 must have shape [4], got f32[n, 4] and f32[3] and f32[4]',
    ],
    'a norm over a named axis': [
      () => b.layerNorm(input(4, 'n'), other('n'), other('n'), 1e-5),
      'layerNorm: the last axis must have a size that is a number, got f32[4, n] and f32[n] and f32[n]',
    ],
  };

  test.each(Object.entries(cases))('%s', (_, [build, message]) => {
    expect(build).toThrow(new TypeError(message));
  });
});
