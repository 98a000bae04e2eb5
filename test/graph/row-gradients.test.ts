// Gradients of wanted rows alone are those rows of the whole gradient: random causal computations against finite differences, and
// what a decoder's capture no longer computes.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LanguageModelPrograms } from '../../src/engine/lm-programs.js';
import * as b from '../../src/graph/build.js';
import { gradients } from '../../src/graph/grad.js';
import type { Value } from '../../src/graph/ops.js';
import { makeProgram } from '../../src/graph/program.js';
import type { WantedRows } from '../../src/graph/row-gradients.js';
import { defineModel } from '../../src/models/index.js';
import { Random } from '../../src/util/random.js';
import { goldenModel } from '../checkpoint/temporary-folder.js';
import { readJsonFile } from '../data/stored-data.js';
import { finiteDifferences } from './finite-differences.js';
import { interpret, type Tensor64 } from './interpreter.js';
import { attention, linear, makeParameters, norm } from './small-transformer.js';
import { expectClose, normalTensor } from './tensor64.js';

const width = 4;
const batch = 2;
const parameters = makeParameters();
const parameter = (name: string) => parameters.get(name)!;
const axis = 'batch*tokens';
const rows: WantedRows = { axis, indices: b.input('wanted', ['answers'], 'i64') };

/** Of each step a row depends on rows before it in its sequence, or on itself alone. */
const steps: readonly ((x: Value, y: Value) => Value)[] = [
  (x, y) => b.add(b.mul(x, 0.5), b.tanh(y)),
  (x, y) => b.mul(x, b.sigmoid(y)),
  (x, y) => b.div(x, b.add(1, b.mul(y, y))),
  (x) => attention(norm(x, 'norm1', parameter), parameter),
  (x, y) => b.add(y, linear(b.gelu(linear(norm(x, 'norm2', parameter), 'up', parameter), 'tanh'), 'down', parameter)),
  (x, y) => b.gemm(x, parameter('out.weight'), { transposeB: true, plus: y }),
  (x) => b.rmsNorm(x, parameter('norm3.weight'), 0.1),
  (x) => b.mul(b.softmax(x), b.exp(b.mul(b.logSoftmax(x), 0.5))),
  (x) => b.concat(b.split(x, 1, 2).toReversed(), 1),
  (x) => b.pad(b.slice(x, 1, 1, 3), 1, 1, 1),
  (x) => b.sub(x, b.mul(b.reduceSum(x, [1], true), 0.2)),
  (x) => b.reshape(b.transpose(b.reshape(x, ['batch', 'tokens', 2, 2]), [0, 1, 3, 2]), [axis, width]),
  (x) => b.add(b.sqrt(b.add(b.mul(x, x), 1)), b.log(b.add(2, b.relu(b.sin(b.cos(x)))))),
];

const plans = fc.record({
  seed: fc.nat(),
  tokens: fc.integer({ min: 1, max: 5 }),
  answers: fc.integer({ min: 1, max: 5 }),
  plan: fc.array(fc.tuple(fc.nat(steps.length - 1), fc.nat(2), fc.nat(5)), { minLength: 1, maxLength: 8 }),
});

/** The last `answers` rows of each sequence. */
function lastRows(tokens: number, answers: number): number[] {
  const first = Math.max(0, tokens - answers);
  const ofOne = Array.from({ length: tokens - first }, (_, at) => first + at);
  return Array.from({ length: batch }, (_, sequence) => ofOne.map((row) => sequence * tokens + row)).flat();
}

function pick({ shape, data }: Tensor64, wanted: readonly number[]): Tensor64 {
  const n = shape[1]!;
  const values = wanted.flatMap((row) => [...data.subarray(row * n, (row + 1) * n)]);
  return { shape: [wanted.length, n], data: Float64Array.from(values) };
}

test('are the rows of the whole gradient, whatever lies between', () => {
  fc.assert(
    fc.property(plans, ({ seed, tokens, answers, plan }) => {
      const random = new Random(seed);
      const x = b.input('x', [axis, width]);
      const values: Value[] = [x];
      for (const [step, back, further] of plan) {
        const operand = (distance: number) => values.at(-1 - (distance % values.length))!;
        values.push(steps[step]!(operand(back), operand(further)));
      }
      const last = b.gatherRows(values.at(-1)!, rows.indices);
      const weighted = b.mul(b.tanh(last), b.input('weights', [1, width]));
      const wanted = lastRows(tokens, answers);
      const feeds: Record<string, Tensor64> = {
        x: normalTensor(random, [batch * tokens, width]),
        wanted: { shape: [wanted.length], data: Float64Array.from(wanted) },
        weights: normalTensor(random, [1, width]),
      };
      for (const [name, { shape }] of parameters) feeds[`@${name}`] = normalTensor(random, shape as number[], 0.7);
      const dims = { batch, tokens, answers: wanted.length };
      const loss = b.reduceSum(weighted);
      if (!makeProgram({ loss }).inputs.some(({ attributes: { name } }) => name === 'x')) return;
      const found = interpret(makeProgram({ g: gradients(loss, [x], rows)[0]! }), feeds, dims).get('g')!;
      const one = { shape: [], data: Float64Array.of(1) };
      const truth = finiteDifferences({ value: loss, cotangent: one, feeds, dims }, 'x');
      expectClose(found, pick(truth, wanted), 2e-6, 'gradient of the wanted rows');
    }),
    { numRuns: 150 },
  );
});

describe.each(['gpt2', 'gptj', 'llama', 'qwen2', 'gpt_neox'])('a capture at the answers of %s', (name) => {
  const definition = defineModel(readJsonFile<Record<string, unknown>>(`${goldenModel(name)}/config.json`));
  const layers = definition.layers.filter(({ name: layer }) => definition.defaultLayers.includes(layer));
  const programs = new LanguageModelPrograms(definition, layers);

  test('multiplies no cotangent of a whole sequence by a weight', () => {
    const { live } = programs.capture('answers');
    const loss = live.outputs.get('loss')!;
    const forward = new Set(makeProgram({ loss, keys: live.outputs.get('keys:0')! }).order.map(describeValue));
    const backward = live.order.filter((value) => value.op === 'gemm' && !forward.has(describeValue(value)));
    expect(backward.length).toBeGreaterThan(0);
    expect(backward.filter(({ shape }) => shape[0] !== 'answers')).toEqual([]);
    const placedToBeTaken = live.order.filter(
      ({ op, inputs }) =>
        op === 'gatherRows' && inputs[0]!.op === 'scatterAddRows' && inputs[0]!.inputs[1] === inputs[1],
    );
    expect(placedToBeTaken).toEqual([]);
  });

  test('at all tokens does', () => {
    const { live } = programs.capture('all');
    expect(live.outputs.get('valueGradients:0')!.shape[0]).not.toBe('answers');
  });
});

/** What a product is, up to values that are shared anyway: its parameters and shape. */
function describeValue({ op, shape, inputs, attributes }: Value): string {
  const operands = inputs.map((operand) =>
    operand.op === 'parameter' ? operand.attributes.name : operand.shape.join(),
  );
  return JSON.stringify([op, shape, operands, attributes]);
}
