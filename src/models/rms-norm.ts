// Root-mean-square normalisation with the parameter `NAME.weight`.

import { parameter, rmsNorm } from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import type { ParameterSpec } from './model.js';

/** Over the last axis of x, whose size is a number. */
export function namedRmsNorm(name: string, x: Value, epsilon: number): Value {
  return rmsNorm(x, parameter(`${name}.weight`, [x.shape.at(-1) as number]), epsilon);
}

export function rmsNormParameter(name: string, width: number): ParameterSpec {
  return { name: `${name}.weight`, shape: [width], initial: { constant: 1 } };
}
