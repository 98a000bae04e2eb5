// Layer normalisation with the parameters `NAME.weight` and `NAME.bias`.

import { layerNorm, parameter } from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import type { ParameterSpec } from './model.js';

/** Over the last axis of x, whose size is a number. */
export function namedLayerNorm(name: string, x: Value, epsilon: number): Value {
  const width = x.shape.at(-1) as number;
  return layerNorm(x, parameter(`${name}.weight`, [width]), parameter(`${name}.bias`, [width]), epsilon);
}

export function layerNormParameters(name: string, width: number): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [width], initial: { constant: 1 } },
    { name: `${name}.bias`, shape: [width], initial: { constant: 0 } },
  ];
}
