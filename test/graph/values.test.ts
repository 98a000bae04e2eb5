// What the runtime computes for every operation is what the operation means.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRuntime } from '../../src/engine/open-runtime.js';
import type { Runtime } from '../../src/engine/runtime.js';
import * as b from '../../src/graph/build.js';
import { gradients } from '../../src/graph/grad.js';
import { makeProgram } from '../../src/graph/program.js';
import { f32, i64, type TensorOf } from '../../src/tensor.js';
import { interpret } from './interpreter.js';
import { type OpCase, opCases } from './op-cases.js';
import { expectClose, fromRuntime, runtimeFeeds } from './tensor64.js';

const runsPerCase = 15;
/** A few roundings of float32 (6e-8), relative to the largest element. */
const tolerance = 4e-6;

let runtime: Runtime;
beforeAll(async () => {
  runtime = await openRuntime({ device: 'cpu', inThread: true, threads: 1 });
});
afterAll(() => runtime.close());

async function expectRuntimeAgrees({ value, feeds, dims }: OpCase): Promise<void> {
  const program = makeProgram({ result: value });
  const compiled = await runtime.compile(program, { source: () => 'fed' });
  const actual = (await runtime.run(compiled, runtimeFeeds(program, feeds), { dims })).host('result');
  expectClose(fromRuntime(actual), interpret(program, feeds, dims).get('result')!, tolerance, value.op);
  expect(actual.dtype).toBe(value.dtype);
}

for (const [op, cases] of Object.entries(opCases)) {
  describe(op, () => {
    test.each(Object.entries(cases))('%s', async (_, arbitrary) => {
      await fc.assert(
        fc.asyncProperty(arbitrary, async (one) => {
          expect(one.value.op).toBe(op);
          await expectRuntimeAgrees(one);
        }),
        { numRuns: runsPerCase },
      );
    });
  });
}

test('a verdict that is certain and turns round has a divergence and a gradient, with no epsilon to hide them', async () => {
  const verdict = (name: string) => b.pad(b.input(name, [3, 1]), 1, 1, 0); // [0, z]
  const divergence = b.klDivergence(verdict('before'), verdict('after'));
  const [gradient] = gradients(b.reduceSum(divergence), [divergence.inputs[1]!]);
  const compiled = await runtime.compile(makeProgram({ divergence, gradient: gradient! }), { source: () => 'fed' });
  const feeds = { before: f32([60, -60, 2], [3, 1]), after: f32([-60, 60, 2], [3, 1]) };
  const result = await runtime.run(compiled, feeds);
  // s log(s / s') with s = 1 and s' = e^-60; and the other way round
  expect([...result.host<TensorOf<'f32'>>('divergence').data]).toEqual([60, 60, 0]);
  expect([...result.host<TensorOf<'f32'>>('gradient').data]).toEqual([1, -1, -1, 1, 0, 0]);
});

test('no update of a repeated row is lost when several threads add', async () => {
  const threaded = await openRuntime({ device: 'cpu', inThread: true, threads: 4 });
  const [count, width, rows] = [4000, 64, 3];
  const summed = b.scatterAddRows(b.input('updates', [count, width]), b.input('rows', [count], 'i64'), rows);
  const compiled = await threaded.compile(makeProgram({ summed }), { source: () => 'fed' });
  const feeds = {
    updates: f32(new Float32Array(count * width).fill(1), [count, width]),
    rows: i64(
      BigInt64Array.from({ length: count }, (_, i) => BigInt(i % rows)),
      [count],
    ),
  };
  const { data } = (await threaded.run(compiled, feeds)).host<TensorOf<'f32'>>('summed');
  expect(data).toEqual(Float32Array.from({ length: rows * width }, (_, i) => (i < width ? 1334 : 1333)));
  await threaded.close();
});
