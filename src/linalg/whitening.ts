// A change of basis in which a given second moment of keys is the identity: W with W^T C W = I.
// Knows no editor.

import { MalmenError } from '../errors.js';
import { defaultTile, lowerBlockColumns } from './block-columns.js';
import { choleskyFactor, isFailedPivot } from './cholesky.js';
import { inverseTransposed } from './cholesky-solve.js';
import type { MatrixOps } from './matrix-ops.js';

/**
 * W = L^-T with L L^T = C, `[size, size]`, owned by the caller. The ridge problem with C in place of the identity,
 * argmin |K S - D|^2 + lambda tr(S^T C S), is the plain one in the keys K W: S = W S'.
 * @param moment symmetric C `[size, size]`; stays the caller's
 * @throws MalmenError 'not-positive-definite' when C is so nearly singular that float32 cannot tell
 */
export async function whitening<M>(ops: MatrixOps<M>, moment: M, module: string): Promise<M> {
  const [size] = ops.shape(moment);
  const tile = defaultTile(size);
  const factor = await choleskyFactor(ops, { size, tile, columns: await lowerBlockColumns(ops, moment, tile) });
  if (isFailedPivot(factor)) {
    throw new MalmenError(
      'not-positive-definite',
      `${module}: the second moment of the preserved keys is not positive definite (pivot ${factor.row} is ` +
        `${factor.value}): preserve more prompts, or none (--preserve 0)`,
    );
  }
  try {
    return await inverseTransposed(factor);
  } finally {
    ops.release(...factor.handles);
  }
}
