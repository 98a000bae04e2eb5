// Float64 tensors for tests: drawn at random, handed to a runtime, compared. Knows no operation.

import { expect } from 'vitest';
import type { Program } from '../../src/graph/program.js';
import { f32, i64, type Tensor } from '../../src/tensor.js';
import type { Random } from '../../src/util/random.js';
import { countOf, type Feeds64, type Tensor64 } from './interpreter.js';

/** Elements drawn one by one, rounded to float32 so that the runtime sees the same numbers. */
export function drawTensor(shape: readonly number[], draw: () => number): Tensor64 {
  return { shape, data: Float64Array.from({ length: countOf(shape) }, () => Math.fround(draw())) };
}

export function normalTensor(random: Random, shape: readonly number[], deviation = 1): Tensor64 {
  return drawTensor(shape, () => deviation * random.normal());
}

export function indexTensor(random: Random, shape: readonly number[], below: number): Tensor64 {
  return drawTensor(shape, () => random.integer(below));
}

/** Those of the feeds that a program asks for, as the runtime wants them. */
export function runtimeFeeds({ inputs, parameters }: Program, feeds: Feeds64): Record<string, Tensor> {
  const wanted = [
    ...inputs.map(({ attributes, dtype }) => [attributes.name, dtype] as const),
    ...parameters.map(({ attributes, dtype }) => [`@${attributes.name}`, dtype] as const),
  ];
  return Object.fromEntries(
    wanted.flatMap(([name, dtype]) => {
      const feed = feeds[name];
      if (!feed) return [];
      const { shape, data } = feed;
      return [[name, dtype === 'i64' ? i64([...data], shape) : f32([...data], shape)]];
    }),
  );
}

export function fromRuntime({ shape, data }: Tensor): Tensor64 {
  return { shape, data: Float64Array.from(data, Number) };
}

/** Equal shapes, and elements within `tolerance` times the largest magnitude expected (at least 1). */
export function expectClose(actual: Tensor64, expected: Tensor64, tolerance: number, what: string): void {
  expect(actual.shape, `${what}: shape`).toEqual(expected.shape);
  const largest = expected.data.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 1);
  const close = (x: number, y: number) => x === y || Math.abs(x - y) <= tolerance * largest;
  const wrong = expected.data.findIndex((x, i) => !close(actual.data[i]!, x));
  if (wrong < 0) return;
  expect.fail(`${what}: element ${wrong} of [${expected.shape}] is ${actual.data[wrong]}, not ${expected.data[wrong]}`);
}
