// Symbolic sizes: products in one canonical form, evaluated and learnt from feeds.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bindDims, type Dim, evaluateDim, evaluateShape, multiplyDims, sameShape } from '../../src/graph/dim.js';

const values = new Map([
  ['batch', 3],
  ['tokens', 5],
  ['answers', 2],
]);

const factor: fc.Arbitrary<Dim> = fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constantFrom(...values.keys()));

describe('multiplyDims', () => {
  test.each([
    [[], 1],
    [[3, 4], 12],
    [['batch'], 'batch'],
    [['tokens', 2, 'batch'], '2*batch*tokens'],
    [['batch*tokens', 'answers'], 'answers*batch*tokens'],
    [['4*tokens', '3*tokens'], '12*tokens*tokens'],
    [[1, 'batch', 1], 'batch'],
    [[0, 'batch'], 0],
  ] as [Dim[], Dim][])('%j is %j', (dims, product) => {
    expect(multiplyDims(...dims)).toBe(product);
  });

  test('order and grouping make no difference', () => {
    fc.assert(
      fc.property(fc.array(factor), fc.array(factor), (left, right) => {
        const together = multiplyDims(...left, ...right);
        expect(multiplyDims(...right.toReversed(), ...left)).toBe(together);
        expect(multiplyDims(multiplyDims(...left), multiplyDims(...right))).toBe(together);
        expect(multiplyDims(together)).toBe(together);
      }),
    );
  });

  test('is worth the product of its factors', () => {
    fc.assert(
      fc.property(fc.array(factor), (dims) => {
        const expected = dims.reduce<number>((product, dim) => product * evaluateDim(dim, values), 1);
        expect(evaluateDim(multiplyDims(...dims), values)).toBe(expected);
      }),
    );
  });
});

test('evaluateShape', () => {
  expect(evaluateShape(['batch*tokens', 7, '2*answers'], values)).toEqual([15, 7, 4]);
  expect(() => evaluateShape(['4*rows'], values)).toThrow("dimension 'rows' of '4*rows' has no value in this run");
});

test('sameShape compares canonical sizes', () => {
  expect(sameShape(['batch*tokens', 4], [multiplyDims('tokens', 'batch'), 4])).toBe(true);
  expect(sameShape([], [])).toBe(true);
  expect(sameShape(['batch'], ['tokens'])).toBe(false);
  expect(sameShape([2], [2, 1])).toBe(false);
});

describe('bindDims', () => {
  const bind = (shape: readonly Dim[], actual: readonly number[], known: Record<string, number> = {}) => {
    const learnt = new Map(Object.entries(known));
    bindDims(shape, actual, learnt, "input 'x'");
    return Object.fromEntries(learnt);
  };

  test('learns named sizes, and leaves composite ones alone', () => {
    expect(bind(['batch', 4, 'tokens'], [2, 4, 6])).toEqual({ batch: 2, tokens: 6 });
    expect(bind(['batch*tokens', 4], [12, 4])).toEqual({});
  });

  test.each([
    ['another rank', ['batch', 4], [2], {}],
    ['another number', ['batch', 4], [2, 5], {}],
    ['a name that is known otherwise', ['batch', 4], [2, 4], { batch: 3 }],
    ['one name with two sizes', ['n', 'n'], [2, 3], {}],
  ] as [string, Dim[], number[], Record<string, number>][])('refuses %s', (_, shape, actual, known) => {
    const message = `input 'x': expected shape [${shape.join(', ')}], got [${actual.join(', ')}]`;
    expect(() => bind(shape, actual, known)).toThrow(new RangeError(message));
  });
});
