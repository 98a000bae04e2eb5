// Solving in a basis where the keys to preserve are white: lambda then holds their outputs in place instead of the weights.

import type { Resident } from '../engine/runtime.js';
import type { MatrixOps } from '../linalg/matrix-ops.js';
import type { ShiftAccumulator, SolvedShift } from './meta-method.js';
import type { PreservedKeys } from './preserved-keys.js';

/** With keys K W in place of K, the wanted shift is S = W S', and dL/dS' = W^T dL/dS. */
export function inWhiteBasis(
  ops: MatrixOps<Resident>,
  plain: ShiftAccumulator,
  preserved: PreservedKeys,
): ShiftAccumulator {
  return {
    async add(keys, rows) {
      const white = await ops.multiply(keys, await preserved.basis(ops));
      await plain.add(white, rows);
      ops.release(white);
    },
    async solve() {
      const inner = await plain.solve();
      const whitening = await preserved.basis(ops);
      return unwhitened(ops, inner, await ops.multiply(whitening, inner.shift), whitening);
    },
    release: () => plain.release(),
  };
}

function unwhitened(ops: MatrixOps<Resident>, inner: SolvedShift, shift: Resident, whitening: Resident): SolvedShift {
  return {
    shift,
    async learn(weightGradient) {
      const white = await ops.multiply(whitening, weightGradient, { transposeA: true });
      ops.release(weightGradient);
      const lesson = await inner.learn(white);
      return {
        ...lesson,
        async feed(keys, firstRow) {
          if (!lesson.readsKeys) return lesson.feed(keys, firstRow);
          const own = await ops.multiply(keys, whitening);
          const fed = await lesson.feed(own, firstRow);
          ops.release(own);
          return fed;
        },
      };
    },
    takeShift() {
      inner.release();
      return shift;
    },
    release() {
      inner.release();
      ops.release(shift);
    },
  };
}

interface ProblemSize {
  readonly rows: number;
  readonly keySize: number;
}

/**
 * Whether the white basis takes fewer operations than the moment as a penalty of the primal form: 2 n k^2 for the keys in it
 * and n^2 k + n^3/3 for the dual form, against n k^2 + k^3/3. It does below about a quarter as many rows as the key is wide.
 */
export function isCheaperInWhiteBasis({ rows: n, keySize: k }: ProblemSize): boolean {
  return 2 * n * k ** 2 + n ** 2 * k + n ** 3 / 3 < n * k ** 2 + k ** 3 / 3;
}
