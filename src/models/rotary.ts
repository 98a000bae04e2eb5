// Rotary position embedding (Su et al. 2021): pairs of elements of a head, turned by angles that grow with the position.
// Knows no configuration and no model.

import { add, concat, cos, input, mul, reshape, sin, slice, split, sub, toFloat, vector } from '../graph/build.js';
import type { Value } from '../graph/ops.js';

/** Cosine and sine of each token's angles: [batch, 1, tokens, pairs]. */
export interface Rotation {
  readonly cosine: Value;
  readonly sine: Value;
}

/** Which elements of the turned part of a head make a pair: (0, 1), (2, 3), ... or (0, n/2), (1, n/2 + 1), ... */
export type Pairing = 'interleaved' | 'halves';

/** Angles per position for `size` elements: base^(-2i / size) for each pair i. */
export function rotaryFrequencies(size: number, base: number): number[] {
  return Array.from({ length: size / 2 }, (_, pair) => base ** ((-2 * pair) / size));
}

/** @param scale multiplies cosine and sine */
export function rotation(frequencies: readonly number[], scale = 1): Rotation {
  const positions = toFloat(reshape(input('positions', ['batch', 'tokens'], 'i64'), ['batch', 1, 'tokens', 1]));
  const angles = mul(positions, vector(frequencies)); // [batch, 1, tokens, pairs]
  return { cosine: mul(cos(angles), scale), sine: mul(sin(angles), scale) };
}

/**
 * Turns the first elements of each head, as many as there are angles for; the others stay. x is [batch, heads, tokens,
 * headSize]. Interleaved pairs come out as halves: queries and keys are reordered alike, and only their products are used.
 */
export function rotate(x: Value, { cosine, sine }: Rotation, pairing: Pairing): Value {
  const headSize = x.shape[3] as number;
  const size = 2 * (cosine.shape[3] as number);
  const turned = size === headSize ? x : slice(x, 3, 0, size);
  const [first, second] = pairs(turned, pairing); // [batch, heads, tokens, pairs] each
  const parts = [
    sub(mul(first, cosine), mul(second, sine)),
    add(mul(second, cosine), mul(first, sine)),
    ...(size === headSize ? [] : [slice(x, 3, size, headSize)]),
  ];
  return concat(parts, 3);
}

function pairs(x: Value, pairing: Pairing): readonly [Value, Value] {
  if (pairing === 'halves') return split(x, 3, 2) as [Value, Value];
  const [batch, heads, tokens, size] = x.shape as [string, number, string, number];
  const couples = reshape(x, [batch, heads, tokens, size / 2, 2]);
  const [first, second] = split(couples, 4, 2).map((part) => reshape(part, [batch, heads, tokens, size / 2]));
  return [first!, second!];
}
