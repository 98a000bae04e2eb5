// T5's relative positions (Raffel et al. 2020): distances between tokens in buckets, exact ones for near tokens, wider and wider
// ones for far tokens, and a learned number for each bucket and head. Knows no configuration and no model.

import { gatherRows, parameter, relativeIndices, reshape, transpose } from '../graph/build.js';
import type { Dim } from '../graph/dim.js';
import type { Value } from '../graph/ops.js';

export interface Buckets {
  readonly count: number;
  /** From here on all distances share a bucket. */
  readonly farthest: number;
  /** Half of the buckets are for tokens that come after; otherwise those are all in bucket 0. */
  readonly bothWays: boolean;
}

/**
 * The bucket of every distance `key - query` from -farthest to farthest; beyond, it stays the same. With n buckets for a
 * direction and e = n / 2, distance d has bucket d below e, and e + log(d / e) / log(farthest / e) * (n - e) from there.
 */
export function bucketTable({ count, farthest, bothWays }: Buckets): number[] {
  const own = bothWays ? count / 2 : count;
  const exact = Math.floor(own / 2);
  const ofDistance = (distance: number): number => {
    if (distance < exact) return distance;
    // In float32, as the reference computes it: at the edges of a bucket the rounding decides.
    const logarithm = Math.fround(Math.log(Math.fround(distance / exact)));
    const part = Math.fround(Math.fround(logarithm / Math.log(farthest / exact)) * (own - exact));
    return Math.min(own - 1, exact + Math.trunc(part));
  };
  return Array.from({ length: 2 * farthest + 1 }, (_, at) => {
    const ahead = at - farthest;
    if (!bothWays) return ofDistance(Math.max(0, -ahead));
    return (ahead > 0 ? own : 0) + ofDistance(Math.abs(ahead));
  });
}

export interface PositionBias {
  /** The parameter [buckets, heads]. */
  readonly table: string;
  readonly heads: number;
  readonly buckets: Buckets;
}

/** What is added to the attention scores of `tokens` rows and as many columns: [1, heads, tokens, tokens]. */
export function positionBias({ table, heads, buckets }: PositionBias, tokens: Dim): Value {
  const indices = relativeIndices(tokens, tokens, bucketTable(buckets)); // [tokens, tokens]
  const found = gatherRows(parameter(table, [buckets.count, heads]), indices); // [tokens, tokens, heads]
  return reshape(transpose(found, [2, 0, 1]), [1, heads, tokens, tokens]);
}
