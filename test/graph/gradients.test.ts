// Gradient graphs are right: against finite differences of the interpreter, and as computed by the runtime.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRuntime } from '../../src/engine/open-runtime.js';
import type { Runtime } from '../../src/engine/runtime.js';
import * as b from '../../src/graph/build.js';
import { evaluateShape } from '../../src/graph/dim.js';
import { gradients, pullBack } from '../../src/graph/grad.js';
import type { Value } from '../../src/graph/ops.js';
import { makeProgram, type Program, topologicalOrder } from '../../src/graph/program.js';
import { Random } from '../../src/util/random.js';
import { directionalDerivative, finiteDifferences, type Weighted } from './finite-differences.js';
import { type Feeds64, interpret, type Tensor64 } from './interpreter.js';
import { type OpCase, opCases } from './op-cases.js';
import { randomExpression } from './random-expression.js';
import { smallTransformer, transformerFeeds } from './small-transformer.js';
import { expectClose, fromRuntime, normalTensor, runtimeFeeds } from './tensor64.js';

const differenceTolerance = 1e-6;
const float32Tolerance = 1e-5;

let runtime: Runtime;
beforeAll(async () => {
  // One thread: hundreds of sessions of a pool each would spend their time on starting and ending threads.
  runtime = await openRuntime({ device: 'cpu', inThread: true, threads: 1 });
});
afterAll(() => runtime.close());

type Outputs = ReadonlyMap<string, Tensor64>;

async function runProgram(program: Program, feeds: Feeds64, dims: Readonly<Record<string, number>>): Promise<Outputs> {
  const compiled = await runtime.compile(program, { source: () => 'fed' });
  const result = await runtime.run(compiled, runtimeFeeds(program, feeds), { dims });
  return new Map([...program.outputs.keys()].map((name) => [name, fromRuntime(result.host(name))]));
}

function feedName(leaf: Value): string {
  if (leaf.op === 'input') return leaf.attributes.name;
  if (leaf.op === 'parameter') return `@${leaf.attributes.name}`;
  throw new Error(`${leaf.op} is not fed`);
}

const cotangentOf = (value: Value) => b.input('cotangent', value.shape);

/** The gradient program of sum(cotangent * value), outputs named as the feeds they differentiate by. */
function gradientProgram(value: Value, wanted: readonly Value[]): Program {
  const found = pullBack([{ value, cotangent: cotangentOf(value) }], wanted);
  return makeProgram(new Map(wanted.map((leaf, at) => [`d ${feedName(leaf)}`, found[at]!])));
}

function weigh(value: Value, feeds: Feeds64, dims: Readonly<Record<string, number>> = {}): Weighted {
  const known = new Map(Object.entries(dims));
  const cotangent = normalTensor(new Random(7), evaluateShape(value.shape, known));
  return { value, cotangent, feeds: { ...feeds, cotangent }, dims };
}

async function expectGradients(weighted: Weighted, wanted: readonly Value[]): Promise<void> {
  const program = gradientProgram(weighted.value, wanted);
  const interpreted = interpret(program, weighted.feeds, weighted.dims);
  const computed = await runProgram(program, weighted.feeds, weighted.dims ?? {});
  for (const leaf of wanted) {
    const name = `d ${feedName(leaf)}`;
    const truth = finiteDifferences(weighted, feedName(leaf));
    expectClose(interpreted.get(name)!, truth, differenceTolerance, `${weighted.value.op}, ${name}`);
    expectClose(
      computed.get(name)!,
      interpreted.get(name)!,
      float32Tolerance,
      `${weighted.value.op}, ${name}, runtime`,
    );
  }
}

function expectRefusal({ value }: OpCase, operand: Value): void {
  const derive = () => pullBack([{ value, cotangent: cotangentOf(value) }], [operand]);
  expect(derive).toThrow(TypeError);
  expect(derive).toThrow(new RegExp(`^${value.op}\\b.*(has no derivative|is constant in)`));
}

for (const [op, cases] of Object.entries(opCases)) {
  describe(op, () => {
    test.each(Object.entries(cases))('%s', async (_, arbitrary) => {
      await fc.assert(
        fc.asyncProperty(arbitrary, async (one) => {
          for (const operand of one.refused) expectRefusal(one, operand);
          if (one.wanted.length > 0) await expectGradients(weigh(one.value, one.feeds, one.dims), one.wanted);
        }),
        { numRuns: 8 },
      );
    });
  });
}

/** Operations without operands that a gradient could be asked for. */
const withoutOperands = new Set(['constant', 'vector', 'toFloat', 'causalMask', 'relativeIndices']);

test.each(Object.entries(opCases))('%s: its cases say what is differentiable', (op, cases) => {
  const samples = Object.values(cases).flatMap((arbitrary) => fc.sample(arbitrary, { numRuns: 1, seed: 1 }));
  const told = samples.some(({ wanted, refused }) => wanted.length + refused.length > 0);
  expect(told).toBe(!withoutOperands.has(op));
});

describe.each([0, 1] as const)('relu at exactly zero, slope %d', (slope) => {
  const x = b.input('x', [3]);
  const [gradient] = gradients(b.reduceSum(b.mul(b.relu(x, slope), 5)), [x]);
  const program = makeProgram({ gradient: gradient! });
  const feeds = { x: { shape: [3], data: Float64Array.of(-1, 0, 1) } };
  const expected = { shape: [3], data: Float64Array.of(0, 5 * slope, 5) };

  test('interpreter and runtime', async () => {
    expectClose(interpret(program, feeds).get('gradient')!, expected, 0, 'interpreter');
    expectClose((await runProgram(program, feeds, {})).get('gradient')!, expected, 0, 'runtime');
  });
});

describe('a transformer block', () => {
  const dims = { batch: 2, tokens: 3 };

  test('cross-entropy by every parameter', async () => {
    const { loss, parameters } = smallTransformer();
    await expectGradients(weigh(loss, transformerFeeds(1), dims), [...parameters.values()]);
  });

  test('KL divergence by the attention and the MLP', async () => {
    const { logits, parameter } = smallTransformer();
    const divergence = b.klDivergence(b.input('logitsBefore', logits.shape), logits);
    const wanted = ['qkv.weight', 'up.weight', 'down.weight', 'down.bias'].map(parameter);
    await expectGradients(weigh(b.mul(b.reduceSum(divergence), 0.5), transformerFeeds(2), dims), wanted);
  });

  test('by a value in the middle, together with what it is made of', async () => {
    const [x, w] = [b.input('x', [3, 2]), b.parameter('w', [2, 4])];
    const middle = b.tanh(b.gemm(x, w));
    const loss = b.reduceSum(b.mul(b.mul(middle, middle), 0.5));
    const feeds = { x: normalTensor(new Random(1), [3, 2]), '@w': normalTensor(new Random(2), [2, 4]) };
    const [byMiddle, byWeight] = gradients(loss, [middle, w]) as [Value, Value];
    const found = interpret(makeProgram({ middle, byMiddle, byWeight }), feeds);
    expectClose(found.get('byMiddle')!, found.get('middle')!, 1e-15, 'd(y^2 / 2) / dy = y');
    const truth = finiteDifferences({ value: loss, cotangent: { shape: [], data: Float64Array.of(1) }, feeds }, '@w');
    expectClose(found.get('byWeight')!, truth, differenceTolerance, 'd @w');
  });
});

/** The direction in which each leaf is moved at once: one difference then checks all elements. */
function expectDirectional(weighted: Weighted, leaf: Value, gradient: Tensor64): void {
  const direction = normalTensor(new Random(11), gradient.shape).data;
  const expected = gradient.data.reduce((sum, g, i) => sum + g * direction[i]!, 0);
  const truth = directionalDerivative(weighted, feedName(leaf), direction);
  const scale = gradient.data.reduce((most, g) => Math.max(most, Math.abs(g)), 1);
  expect(Math.abs(expected - truth)).toBeLessThan(differenceTolerance * scale * gradient.data.length);
}

test('random expressions with shared subexpressions', async () => {
  await fc.assert(
    fc.asyncProperty(randomExpression, async ({ values, parameters, feeds }) => {
      const value = values.slice(-3).reduce((sum, x) => b.add(sum, x));
      const reached = new Set(topologicalOrder([value]));
      const wanted = parameters.filter((leaf) => reached.has(leaf));
      const weighted = weigh(value, feeds, { tokens: feeds.x!.shape[0]! });
      const program = gradientProgram(value, wanted);
      const interpreted = interpret(program, weighted.feeds);
      const computed = wanted.length > 0 ? await runProgram(program, weighted.feeds, {}) : interpreted;
      for (const leaf of wanted) {
        const name = `d ${feedName(leaf)}`;
        expectDirectional(weighted, leaf, interpreted.get(name)!);
        expectClose(computed.get(name)!, interpreted.get(name)!, 1e-4, name);
      }
    }),
    { numRuns: 60 },
  );
});

describe('parts of a split', () => {
  const x = b.parameter('x', [2, 6]);
  const part = (index: number) => b.split(x, 1, 3)[index]!;
  const uses: Record<string, Value> = {
    'all of them, in another order': b.mul(b.mul(part(2), part(0)), part(1)),
    'one of them as often as there are parts': b.add(b.add(b.exp(part(1)), b.tanh(part(1))), part(1)),
    'all of them twice': b.mul(b.mul(part(0), part(1)), b.mul(part(2), b.mul(part(0), b.mul(part(1), part(2))))),
    'all of them beside the whole': b.add(b.mul(b.mul(part(0), part(1)), part(2)), b.reduceSum(b.exp(x))),
  };

  test.each(Object.entries(uses))('%s', async (_, value) => {
    await expectGradients(weigh(value, { '@x': normalTensor(new Random(3), [2, 6]) }), [x]);
  });
});

test('seeds of several values add up', () => {
  const x = b.input('x', [2]);
  const seeds = [
    { value: b.mul(x, x), cotangent: b.input('g', [2]) },
    { value: b.mul(x, 3), cotangent: b.input('h', [2]) },
  ];
  const [gradient] = pullBack(seeds, [x]);
  const of = (...data: number[]) => ({ shape: [2], data: Float64Array.from(data) });
  const feeds = { x: of(1, -2), g: of(10, 1), h: of(1, 2) };
  expect([...interpret(makeProgram({ gradient: gradient! }), feeds).get('gradient')!.data]).toEqual([23, 2]);
});

describe('what cannot be differentiated is said', () => {
  const x = b.input('x', [2, 3]);
  const labels = b.input('labels', [2], 'i64');

  test('a loss that is not a scalar', () => {
    expect(() => gradients(x, [x])).toThrow('gradients: the loss must be a scalar, got [2, 3]');
  });

  test('a value that the loss does not depend on', () => {
    const unused = b.parameter('unused', [2]);
    expect(() => gradients(b.reduceSum(x), [unused])).toThrow("the loss does not depend on parameter 'unused'");
  });

  test('indices', () => {
    const loss = b.reduceSum(b.crossEntropy(x, labels));
    expect(() => gradients(loss, [labels])).toThrow("input 'labels' is i64[2]: only float32 values have gradients");
  });

  test('a cotangent of another shape', () => {
    const derive = () => pullBack([{ value: x, cotangent: b.constant(1) }], [x]);
    expect(derive).toThrow("the cotangent of input 'x' must be f32[2, 3], got f32[]");
  });
});
