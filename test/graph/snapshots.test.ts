// Gradient graphs of what editing differentiates, written out: nothing is computed that is not needed, and nothing is made
// larger than it has to be.

import { describe, expect, test } from 'vitest';
import * as b from '../../src/graph/build.js';
import { gradients, pullBack } from '../../src/graph/grad.js';
import type { Value } from '../../src/graph/ops.js';
import { partition } from '../../src/graph/partition.js';
import { printProgram } from '../../src/graph/print.js';
import { makeProgram, type Program } from '../../src/graph/program.js';
import { attention, linear, makeParameters, norm, smallTransformer } from './small-transformer.js';

const parameters = makeParameters();
const parameter = (name: string) => parameters.get(name)!;
const rows = b.input('x', ['batch*tokens', 4]);

/** The program of the cotangents of `wanted` that follow from a fed cotangent of `value`. */
function backward(value: Value, wanted: Readonly<Record<string, Value>>): Program {
  const found = pullBack([{ value, cotangent: b.input('g', value.shape) }], Object.values(wanted));
  return makeProgram(Object.fromEntries(Object.keys(wanted).map((name, at) => [`d ${name}`, found[at]!])));
}

const shapesIn = ({ order }: Program) => order.map(({ shape }) => shape.join(' x '));
const opsIn = ({ order }: Program) => order.map(({ op }) => op);
const countOf = (program: Program, op: Value['op']) => opsIn(program).filter((each) => each === op).length;

describe('linear', () => {
  const wanted = { x: rows, weight: parameter('up.weight'), bias: parameter('up.bias') };
  const program = backward(linear(rows, 'up', parameter), wanted);

  test('three operations', () => {
    expect(printProgram(program)).toMatchInlineSnapshot(`
      "$g: f32[batch*tokens, 6]
      @up.weight: f32[4, 6]
      %2: f32[batch*tokens, 4] = gemm($g, @up.weight, transposeB, alpha=1)
      $x: f32[batch*tokens, 4]
      %4: f32[4, 6] = gemm($x, $g, transposeA, alpha=1)
      %5: f32[1, 6] = reduceSum($g, axes=[0], keepDims)
      %6: f32[6] = reshape(%5, shape=[6])
      return d x = %2, d weight = %4, d bias = %6"
    `);
  });

  test('the product itself is not computed, nor an outer product of each row', () => {
    expect(opsIn(program).filter((op) => op === 'gemm')).toHaveLength(2);
    expect(program.order.every(({ shape }) => shape.length <= 2)).toBe(true);
  });
});

describe('attention', () => {
  const program = backward(attention(rows, parameter), { x: rows, weight: parameter('qkv.weight') });

  test('the parts of q, k and v come together in one concatenation', () => {
    expect(printProgram(program)).toMatchInlineSnapshot(`
      "$x: f32[batch*tokens, 4]
      @qkv.weight: f32[4, 12]
      @qkv.bias: f32[12]
      %3: f32[batch*tokens, 12] = gemm($x, @qkv.weight, @qkv.bias, alpha=1)
      %4: f32[batch*tokens, 4] = split(%3, axis=1, parts=3, index=0)
      %5: f32[batch, tokens, 2, 2] = reshape(%4, shape=["batch","tokens",2,2])
      %6: f32[batch, 2, tokens, 2] = transpose(%5, permutation=[0,2,1,3])
      %7: f32[batch*tokens, 4] = split(%3, axis=1, parts=3, index=1)
      %8: f32[batch, tokens, 2, 2] = reshape(%7, shape=["batch","tokens",2,2])
      %9: f32[batch, 2, tokens, 2] = transpose(%8, permutation=[0,2,1,3])
      %10: f32[batch, 2, tokens, tokens] = matMul(%6, %9, transposeB)
      %11: f32[batch, 2, tokens, tokens] = mul(%10, 0.7071067811865475)
      %12: f32[tokens, tokens] = causalMask(rows="tokens", columns="tokens")
      %13: f32[batch, 2, tokens, tokens] = add(%11, %12)
      %14: f32[batch, 2, tokens, tokens] = softmax(%13)
      $g: f32[batch*tokens, 4]
      %16: f32[batch, tokens, 2, 2] = reshape($g, shape=["batch","tokens",2,2])
      %17: f32[batch, 2, tokens, 2] = transpose(%16, permutation=[0,2,1,3])
      %18: f32[batch*tokens, 4] = split(%3, axis=1, parts=3, index=2)
      %19: f32[batch, tokens, 2, 2] = reshape(%18, shape=["batch","tokens",2,2])
      %20: f32[batch, 2, tokens, 2] = transpose(%19, permutation=[0,2,1,3])
      %21: f32[batch, 2, tokens, tokens] = matMul(%17, %20, transposeB)
      %22: f32[batch, 2, tokens, tokens] = mul(%21, %14)
      %23: f32[batch, 2, tokens, 1] = reduceSum(%22, axes=[3], keepDims)
      %24: f32[batch, 2, tokens, tokens] = sub(%21, %23)
      %25: f32[batch, 2, tokens, tokens] = mul(%14, %24)
      %26: f32[batch, 2, tokens, tokens] = mul(%25, 0.7071067811865475)
      %27: f32[batch, 2, tokens, 2] = matMul(%26, %9)
      %28: f32[batch, tokens, 2, 2] = transpose(%27, permutation=[0,2,1,3])
      %29: f32[batch*tokens, 4] = reshape(%28, shape=["batch*tokens",4])
      %30: f32[batch, 2, tokens, 2] = matMul(%26, %6, transposeA)
      %31: f32[batch, tokens, 2, 2] = transpose(%30, permutation=[0,2,1,3])
      %32: f32[batch*tokens, 4] = reshape(%31, shape=["batch*tokens",4])
      %33: f32[batch, 2, tokens, 2] = matMul(%14, %17, transposeA)
      %34: f32[batch, tokens, 2, 2] = transpose(%33, permutation=[0,2,1,3])
      %35: f32[batch*tokens, 4] = reshape(%34, shape=["batch*tokens",4])
      %36: f32[batch*tokens, 12] = concat(%29, %32, %35, axis=1)
      %37: f32[batch*tokens, 4] = gemm(%36, @qkv.weight, transposeB, alpha=1)
      %38: f32[4, 12] = gemm($x, %36, transposeA, alpha=1)
      return d x = %37, d weight = %38"
    `);
    expect(countOf(program, 'concat')).toBe(1);
    expect(countOf(program, 'placePart')).toBe(0);
  });

  test('scores and their gradients are the largest values', () => {
    const scores = 'batch x 2 x tokens x tokens';
    const perRow = shapesIn(program).filter((shape) => shape.includes('tokens') && shape !== scores);
    expect(new Set(perRow)).toEqual(
      new Set([
        'batch*tokens x 4',
        'batch*tokens x 12',
        'batch x tokens x 2 x 2',
        'batch x 2 x tokens x 2',
        'batch x 2 x tokens x 1',
        'tokens x tokens',
      ]),
    );
  });
});

describe('layer norm', () => {
  const program = backward(norm(rows, 'norm1', parameter), {
    x: rows,
    weight: parameter('norm1.weight'),
    bias: parameter('norm1.bias'),
  });

  test('reuses the statistics and not the result', () => {
    expect(printProgram(program)).toMatchInlineSnapshot(`
      "$g: f32[batch*tokens, 4]
      @norm1.weight: f32[4]
      %2: f32[batch*tokens, 4] = mul($g, @norm1.weight)
      %3: f32[batch*tokens, 1] = reduceSum(%2, axes=[1], keepDims)
      %4: f32[batch*tokens, 1] = mul(%3, 0.25)
      %5: f32[batch*tokens, 4] = sub(%2, %4)
      $x: f32[batch*tokens, 4]
      @norm1.bias: f32[4]
      %8: f32[batch*tokens, 1] = layerNormStatistic($x, @norm1.weight, @norm1.bias, epsilon=0.01, statistic="mean")
      %9: f32[batch*tokens, 4] = sub($x, %8)
      %10: f32[batch*tokens, 1] = layerNormStatistic($x, @norm1.weight, @norm1.bias, epsilon=0.01, statistic="inverseDeviation")
      %11: f32[batch*tokens, 4] = mul(%9, %10)
      %12: f32[batch*tokens, 4] = mul(%2, %11)
      %13: f32[batch*tokens, 1] = reduceSum(%12, axes=[1], keepDims)
      %14: f32[batch*tokens, 1] = mul(%13, 0.25)
      %15: f32[batch*tokens, 4] = mul(%11, %14)
      %16: f32[batch*tokens, 4] = sub(%5, %15)
      %17: f32[batch*tokens, 4] = mul(%16, %10)
      %18: f32[batch*tokens, 4] = mul($g, %11)
      %19: f32[1, 4] = reduceSum(%18, axes=[0], keepDims)
      %20: f32[4] = reshape(%19, shape=[4])
      %21: f32[1, 4] = reduceSum($g, axes=[0], keepDims)
      %22: f32[4] = reshape(%21, shape=[4])
      return d x = %17, d weight = %20, d bias = %22"
    `);
    expect(opsIn(program)).not.toContain('layerNorm');
    expect(countOf(program, 'layerNormStatistic')).toBe(2);
  });
});

describe('cross-entropy of the answers', () => {
  const vocabulary = 50257;
  const table = b.parameter('embedding', [vocabulary, 4]);
  const answers = b.gatherRows(rows, b.input('answerRows', ['answers'], 'i64'));
  const loss = b.reduceSum(
    b.crossEntropy(b.gemm(answers, table, { transposeB: true }), b.input('labels', ['answers'], 'i64')),
  );
  const [gradient] = gradients(loss, [rows]);
  const program = makeProgram({ loss, gradient: gradient! });

  test('only answer rows meet the vocabulary', () => {
    expect(printProgram(program)).toMatchInlineSnapshot(`
      "$x: f32[batch*tokens, 4]
      $answerRows: i64[answers]
      %2: f32[answers, 4] = gatherRows($x, $answerRows)
      @embedding: f32[50257, 4]
      %4: f32[answers, 50257] = gemm(%2, @embedding, transposeB, alpha=1)
      $labels: i64[answers]
      %6: f32[answers] = crossEntropy(%4, $labels)
      %7: f32[] = reduceSum(%6, axes=[0])
      %8: f32[1] = reshape(1, shape=[1])
      %9: f32[answers] = broadcastTo(%8, shape=["answers"])
      %10: f32[answers, 50257] = crossEntropyGradient(%4, $labels, %9)
      %11: f32[answers, 4] = gemm(%10, @embedding, alpha=1)
      %12: f32[batch*tokens, 4] = scatterAddRows(%11, $answerRows, rows="batch*tokens")
      return loss = %7, gradient = %12"
    `);
    const wide = program.order.filter(({ shape, op }) => shape.includes(vocabulary) && op !== 'parameter');
    expect(wide.map(({ op, shape }) => [op, ...shape])).toEqual([
      ['gemm', 'answers', vocabulary],
      ['crossEntropyGradient', 'answers', vocabulary],
    ]);
  });
});

describe('a whole model', () => {
  const { loss, parameters: own } = smallTransformer();
  const gradientOf = (...names: string[]) => {
    const found = gradients(
      loss,
      names.map((name) => own.get(name)!),
    );
    return makeProgram({ loss, ...Object.fromEntries(names.map((name, at) => [`d ${name}`, found[at]!])) });
  };
  const forward = makeProgram({ loss });

  test('the last weight needs no work below it', () => {
    const program = gradientOf('down.weight');
    // The head and the last norm backward, rows scattered back, one product.
    expect(opsIn(program).slice(forward.order.length)).toMatchInlineSnapshot(`
      [
        "constant",
        "reshape",
        "broadcastTo",
        "crossEntropyGradient",
        "gemm",
        "mul",
        "reduceSum",
        "constant",
        "mul",
        "sub",
        "layerNormStatistic",
        "sub",
        "layerNormStatistic",
        "mul",
        "mul",
        "reduceSum",
        "mul",
        "mul",
        "sub",
        "mul",
        "scatterAddRows",
        "gemm",
      ]
    `);
    expect(countOf(program, 'gemm') - countOf(forward, 'gemm')).toBe(2);
    expect(countOf(program, 'geluGradient')).toBe(0);
    expect(countOf(program, 'matMul')).toBe(countOf(forward, 'matMul'));
  });

  test('its live part is the MLP output and the head only', () => {
    const [gradient] = gradients(loss, [own.get('down.weight')!]);
    const { live } = partition({ loss, gradient: gradient! }, (leaf) => leaf.attributes.name === 'down.weight');
    expect(countOf(live, 'gemm')).toBe(4);
    expect(opsIn(live)).not.toContain('gelu');
    expect(opsIn(live)).not.toContain('softmax');
    expect(live.parameters.map(({ attributes }) => attributes.name).toSorted()).toEqual([
      'down.bias',
      'down.weight',
      'embedding',
      'norm3.bias',
      'norm3.weight',
    ]);
  });

  test('every gradient together: each forward value is computed once', () => {
    const program = gradientOf(...own.keys());
    for (const op of ['softmax', 'layerNorm', 'gelu', 'crossEntropy'] as const) {
      expect([op, countOf(program, op)]).toEqual([op, countOf(forward, op)]);
    }
    // Two products backward for each product forward.
    expect(countOf(program, 'gemm')).toBe(3 * countOf(forward, 'gemm'));
    expect(countOf(program, 'matMul')).toBe(3 * countOf(forward, 'matMul'));
  });

  test('no vocabulary for every token, no product of each row', () => {
    for (const { shape, op } of gradientOf(...own.keys()).order) {
      const perToken = shape[0] === 'batch*tokens' || shape[0] === 'batch';
      expect(perToken && shape.includes(5), `${op} [${shape}]`).toBe(false);
      expect(shape[0] === 'batch*tokens' && shape.length > 2, `${op} [${shape}]`).toBe(false);
    }
  });
});
