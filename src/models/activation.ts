// Activation functions by the names that config.json uses.

import { gelu, mul, relu, sigmoid, tanh } from '../graph/build.js';
import type { Value } from '../graph/ops.js';

const tanhGelu = (x: Value) => gelu(x, 'tanh');
const silu = (x: Value) => mul(x, sigmoid(x));

export const activations = {
  gelu: (x: Value) => gelu(x, 'none'),
  gelu_new: tanhGelu,
  gelu_fast: tanhGelu,
  gelu_pytorch_tanh: tanhGelu,
  quick_gelu: (x: Value) => mul(x, sigmoid(mul(x, 1.702))),
  relu: (x: Value) => relu(x),
  silu,
  swish: silu,
  tanh,
} as const satisfies Record<string, (x: Value) => Value>;

export type ActivationName = keyof typeof activations;

export const activationNames = Object.keys(activations) as [ActivationName, ...ActivationName[]];
