// Random expressions with shared subexpressions, for tests of whatever must hold for every computation.

import fc from 'fast-check';
import * as b from '../../src/graph/build.js';
import type { Value } from '../../src/graph/ops.js';
import { Random } from '../../src/util/random.js';
import type { Feeds64 } from './interpreter.js';
import { indexTensor, normalTensor } from './tensor64.js';

/** Every intermediate value is [tokens, width]. */
const width = 4;

interface Leaves {
  readonly values: readonly Value[];
  readonly matrices: readonly Value[];
  readonly rows: readonly Value[];
  readonly chosen: Value;
}

/** Three operands from what was made so far, and the leaves. */
type Step = (x: Value, y: Value, leaves: Leaves, pick: number) => Value;

const pickFrom = (values: readonly Value[], pick: number) => values[pick % values.length]!;

/** Two heads: softmax(x y^T + mask) y for each half of the columns. */
function attention(x: Value, y: Value): Value {
  const heads = (value: Value) => b.transpose(b.reshape(value, ['tokens', 2, width / 2]), [1, 0, 2]);
  const scores = b.add(b.matMul(heads(x), heads(y), { transposeB: true }), b.causalMask('tokens'));
  return b.reshape(b.transpose(b.matMul(b.softmax(scores), heads(y)), [1, 0, 2]), ['tokens', width]);
}

function swapHalves(x: Value): Value {
  const [left, right] = b.split(x, 1, 2) as [Value, Value];
  return b.concat([right, left], 1);
}

const steps: readonly Step[] = [
  (x, y) => b.add(b.mul(x, 0.5), b.tanh(y)),
  (x, y) => b.mul(x, b.sigmoid(y)),
  (x, y) => b.div(x, b.add(1, b.mul(y, y))),
  (x, _, { rows }, pick) => b.sub(x, pickFrom(rows, pick)),
  (x, _, { rows, matrices }, pick) => b.gemm(x, pickFrom(matrices, pick), { alpha: 0.5, plus: pickFrom(rows, pick) }),
  (x, y, { matrices }, pick) => b.gemm(x, pickFrom(matrices, pick), { transposeB: true, alpha: 0.25, plus: y }),
  (x, y) => b.gemm(b.gemm(x, y, { transposeB: true, alpha: 0.1 }), x),
  (x, y) => b.gemm(x, b.gemm(x, y, { transposeA: true, alpha: 0.1 })),
  (x) => b.softmax(x),
  (x) => b.logSoftmax(x),
  (x, _, { rows }, pick) => b.layerNorm(x, pickFrom(rows, pick), pickFrom(rows, pick + 1), 0.1),
  (x, _, _leaves, pick) => b.gelu(x, pick % 2 ? 'tanh' : 'none'),
  swapHalves,
  (x, _, { chosen }) => b.gatherRows(x, chosen),
  (x, _, { chosen }) => b.scatterAddRows(b.mul(x, 0.5), chosen, 'tokens'),
  (x) => b.sub(x, b.mul(b.reduceSum(x, [1], true), 0.2)),
  (x) => b.makeValue('pad', [b.slice(x, 1, 1, 3)], { axis: 1, before: 1, after: 1 }),
  (x) => b.exp(b.tanh(x)),
  (x) => b.log(b.add(1.5, b.sigmoid(x))),
  (x) => b.sqrt(b.add(b.mul(x, x), 1)),
  attention,
];

interface RandomExpression {
  /** All values in the order they were built; later ones use earlier ones, some of them twice. */
  readonly values: readonly Value[];
  /** The parameters that may occur. */
  readonly parameters: readonly Value[];
  readonly feeds: Feeds64;
}

const parameterNames = ['w0', 'w1', 'w2', 'r0', 'r1', 'r2'];
const shapeOf = (name: string) => (name.startsWith('w') ? [width, width] : [width]);

export const randomExpression: fc.Arbitrary<RandomExpression> = fc
  .record({
    seed: fc.nat(),
    tokens: fc.integer({ min: 1, max: 4 }),
    plan: fc.array(fc.tuple(fc.nat(steps.length - 1), fc.nat(3), fc.nat(7), fc.nat(9)), {
      minLength: 1,
      maxLength: 12,
    }),
  })
  .map(({ seed, tokens, plan }) => {
    const random = new Random(seed);
    const parameters = parameterNames.map((name) => b.parameter(name, shapeOf(name)));
    const leaves: Leaves = {
      values: [b.input('x', ['tokens', width])],
      matrices: parameters.slice(0, 3),
      rows: parameters.slice(3),
      chosen: b.input('chosen', ['tokens'], 'i64'),
    };
    const values = [...leaves.values];
    // Operands are counted from the newest value, so that most of what is built is used.
    for (const [step, back, further, pick] of plan) {
      const operand = (distance: number) => values.at(-1 - (distance % values.length))!;
      values.push(steps[step]!(operand(back), operand(further), leaves, pick));
    }
    const feeds: Record<string, ReturnType<typeof normalTensor>> = {
      x: normalTensor(random, [tokens, width]),
      chosen: indexTensor(random, [tokens], tokens),
    };
    for (const name of parameterNames) feeds[`@${name}`] = normalTensor(random, shapeOf(name));
    return { values, parameters, feeds };
  });
