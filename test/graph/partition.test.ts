// Frozen and live part, computed one after the other, are the whole; the frozen part never needs to run again.

import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openRuntime } from '../../src/engine/open-runtime.js';
import type { WeightBinding } from '../../src/engine/runtime.js';
import * as b from '../../src/graph/build.js';
import { gradients } from '../../src/graph/grad.js';
import type { Value } from '../../src/graph/ops.js';
import { type NamedLeaf, partition } from '../../src/graph/partition.js';
import { makeProgram, type Program } from '../../src/graph/program.js';
import { Random } from '../../src/util/random.js';
import { type Feeds64, interpret, type Tensor64 } from './interpreter.js';
import { randomExpression } from './random-expression.js';
import { smallTransformer, transformerFeeds } from './small-transformer.js';
import { expectClose, fromRuntime, normalTensor, runtimeFeeds } from './tensor64.js';

type Outputs = ReadonlyMap<string, Tensor64>;

const feedName = (leaf: NamedLeaf) => (leaf.op === 'input' ? leaf.attributes.name : `@${leaf.attributes.name}`);
const leafNames = ({ inputs, parameters }: Program) => [...inputs, ...parameters].map(feedName);
const byName = (names: readonly string[]) => (leaf: NamedLeaf) => names.includes(feedName(leaf));

function expectEqual(actual: Outputs, expected: Outputs): void {
  expect([...actual.keys()]).toEqual([...expected.keys()]);
  // The same operations on the same numbers: not one bit differs.
  for (const [name, tensor] of expected) expectClose(actual.get(name)!, tensor, 0, name);
}

/** Every computed value of the live part depends on something that varies. */
function expectNothingFrozen({ order }: Program, varies: (leaf: NamedLeaf) => boolean): void {
  const varying = new Set<Value>();
  for (const value of order) {
    const source = (value.op === 'input' || value.op === 'parameter') && varies(value);
    if (source || value.inputs.some((operand) => varying.has(operand))) varying.add(value);
    else expect(value.inputs, `${value.op} is live without need`).toEqual([]);
  }
}

const candidates = ['@w0', '@w1', '@w2', '@r0', '@r1', '@r2', 'x'];

test('random expressions: frozen, then live, is the whole; only live again after a change', () => {
  fc.assert(
    fc.property(
      randomExpression,
      fc.subarray(candidates),
      fc.nat(),
      fc.nat(),
      ({ values, feeds }, varying, pick, seed) => {
        const last = values.at(-1)!;
        const outputs = { last, middle: values[pick % values.length]!, total: b.reduceSum(last) };
        const { frozen, live } = partition(outputs, byName(varying));
        const dims = { tokens: feeds.x!.shape[0]! };

        expect(leafNames(frozen).filter((name) => varying.includes(name))).toEqual([]);
        expectNothingFrozen(live, byName(varying));
        const crossed = live.inputs.map(feedName).filter((name) => name.startsWith('cross.'));
        expect(crossed.toSorted()).toEqual([...frozen.outputs.keys()].toSorted());

        const crossing = Object.fromEntries(interpret(frozen, feeds, dims));
        const whole = makeProgram(outputs);
        expectEqual(interpret(live, { ...feeds, ...crossing }, dims), interpret(whole, feeds, dims));

        const random = new Random(seed);
        const change = varying.map((name) => [name, normalTensor(random, feeds[name]!.shape)] as const);
        const changed: Feeds64 = { ...feeds, ...Object.fromEntries(change) };
        expectEqual(interpret(live, { ...changed, ...crossing }, dims), interpret(whole, changed, dims));
      },
    ),
    { numRuns: 200 },
  );
});

describe('what crosses', () => {
  const x = b.input('x', ['n', 3]);
  const first = b.parameter('first', [3, 3]);
  const second = b.parameter('second', [3, 3]);
  const hidden = () => b.tanh(b.gemm(x, first));
  const opsOf = ({ order }: Program) => order.map(({ op }) => op);

  test('an equal frozen value crosses once', () => {
    const y = b.gemm(hidden(), second, { plus: hidden() });
    const { frozen, live } = partition({ y }, byName(['@second']));
    expect([...frozen.outputs.keys()]).toEqual(['cross.0']);
    expect(opsOf(frozen)).toEqual(['input', 'parameter', 'gemm', 'tanh']);
    expect(opsOf(live)).toEqual(['input', 'parameter', 'gemm']);
  });

  test('an output that depends on nothing edited', () => {
    const { frozen, live } = partition({ y: b.gemm(hidden(), second), still: b.exp(hidden()) }, byName(['@second']));
    expect(opsOf(frozen)).toEqual(['input', 'parameter', 'gemm', 'tanh', 'exp']);
    expect(live.outputs.get('still')!.op).toBe('input');
  });

  test('a mask is frozen, not built in every live run', () => {
    const scores = b.add(b.gemm(b.gemm(hidden(), second), x, { transposeB: true }), b.causalMask('n')); // [n, n]
    const { frozen, live } = partition({ scores }, byName(['@second']));
    expect(opsOf(frozen)).toContain('causalMask');
    expect(opsOf(live)).not.toContain('causalMask');
  });

  test('nothing edited: all outputs cross', () => {
    const { frozen, live } = partition({ y: hidden(), mean: b.reduceSum(hidden()) }, () => false);
    expect(opsOf(live)).toEqual(['input', 'input']);
    expect([...live.outputs.keys()]).toEqual(['y', 'mean']);
    expect(frozen.outputs.size).toBe(2);
  });

  test('everything edited: the frozen part is empty', () => {
    const { frozen, live } = partition({ y: hidden() }, () => true);
    expect(frozen.order).toEqual([]);
    expect(live.order).toEqual(makeProgram({ y: hidden() }).order);
  });

  test('leaves do not cross', () => {
    const { frozen, live } = partition({ x, first, y: b.gemm(b.gemm(x, second), first) }, byName(['@second']));
    expect(frozen.outputs.size).toBe(0);
    expect(leafNames(live)).toEqual(['x', '@first', '@second']);
  });
});

test('a transformer on the runtime, with crossing values that stay there', async () => {
  const { loss, parameter } = smallTransformer();
  const [gradient] = gradients(loss, [parameter('down.weight')]);
  const outputs = { loss, gradient: gradient! };
  const { frozen, live } = partition(outputs, byName(['@down.weight']));
  const dims = { batch: 2, tokens: 3, answers: 2 };
  const feeds = transformerFeeds(5);
  const changed = { ...feeds, '@down.weight': normalTensor(new Random(9), [6, 4]) };

  const runtime = await openRuntime({ device: 'cpu', inThread: true, threads: 1 });
  onTestFinished(() => runtime.close());
  const binding: WeightBinding = { source: () => 'fed' };
  const frozenRun = await runtime.run(await runtime.compile(frozen, binding), runtimeFeeds(frozen, feeds), {
    keep: 'all',
    dims,
  });
  const crossing = Object.fromEntries([...frozen.outputs.keys()].map((name) => [name, frozenRun.kept(name)]));
  const compiled = await runtime.compile(live, binding);
  for (const current of [feeds, changed]) {
    const truth = interpret(makeProgram(outputs), current, dims);
    const result = await runtime.run(compiled, { ...runtimeFeeds(live, current), ...crossing }, { dims });
    for (const [name, expected] of truth) expectClose(fromRuntime(result.host(name)), expected, 1e-5, name);
  }
});
