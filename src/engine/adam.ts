// One step of Adam (Kingma and Ba 2015) over tensors that live beside the runtime, and the norm that clipping needs.

import * as b from '../graph/build.js';
import { makeProgram } from '../graph/program.js';
import { scalar, type TensorOf, zeros } from '../tensor.js';
import type { Resident, Runtime } from './runtime.js';
import { allFed } from './weight-shift.js';

export interface AdamSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

export const defaultAdam: AdamSettings = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/** Averages of a parameter's gradient and of its square. */
export interface AdamMoments {
  readonly first: Resident;
  readonly second: Resident;
}

export async function zeroMoments(runtime: Runtime, shape: readonly number[]): Promise<AdamMoments> {
  return {
    first: await runtime.upload(zeros(shape), { move: true }),
    second: await runtime.upload(zeros(shape), { move: true }),
  };
}

export interface AdamStep {
  readonly parameter: Resident;
  readonly gradient: Resident;
  readonly moments: AdamMoments;
  readonly learningRate: number;
  /** Factor of the gradient, from clipping. */
  readonly gradientScale: number;
  /** 1 for the first step. */
  readonly step: number;
  readonly settings: AdamSettings;
}

/**
 * m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  p <- p - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps).
 * Releases the gradient and the old moments; the old parameter stays with the caller.
 */
export async function adamStep(
  runtime: Runtime,
  request: AdamStep,
): Promise<{ parameter: Resident; moments: AdamMoments }> {
  const { parameter, gradient, moments, gradientScale, step, settings, learningRate } = request;
  const compiled = await runtime.compile(adamProgram(parameter.shape, settings), allFed);
  const feeds = {
    parameter,
    gradient,
    first: moments.first,
    second: moments.second,
    gradientScale: scalar(gradientScale),
    rate: scalar(learningRate / (1 - settings.beta1 ** step)),
    rootCorrection: scalar(1 / Math.sqrt(1 - settings.beta2 ** step)),
  };
  const result = await runtime.run(compiled, feeds, { keep: 'all' });
  runtime.release(gradient, moments.first, moments.second);
  return {
    parameter: result.kept('parameter'),
    moments: { first: result.kept('first'), second: result.kept('second') },
  };
}

function adamProgram(shape: readonly number[], { beta1, beta2, epsilon }: AdamSettings) {
  const tensor = (name: string) => b.input(name, shape);
  const g = b.mul(tensor('gradient'), b.input('gradientScale', []));
  const first = b.add(b.mul(tensor('first'), beta1), b.mul(g, 1 - beta1));
  const second = b.add(b.mul(tensor('second'), beta2), b.mul(b.mul(g, g), 1 - beta2));
  const root = b.add(b.mul(b.sqrt(second), b.input('rootCorrection', [])), epsilon);
  const change = b.mul(b.div(first, root), b.input('rate', []));
  return makeProgram({ parameter: b.sub(tensor('parameter'), change), first, second });
}

/** Root of the sum of squares over all tensors. */
export async function globalNorm(runtime: Runtime, tensors: Iterable<Resident>): Promise<number> {
  let sum = 0;
  for (const tensor of tensors) {
    const x = b.input('x', tensor.shape);
    const compiled = await runtime.compile(makeProgram({ sum: b.reduceSum(b.mul(x, x)) }), allFed);
    sum += (await runtime.run(compiled, { x: tensor })).host<TensorOf<'f32'>>('sum').data[0]!;
  }
  return Math.sqrt(sum);
}
