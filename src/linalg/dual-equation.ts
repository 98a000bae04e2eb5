// S = K^T (K K^T + lambda I)^-1 D: keeps the rows and solves for one coefficient row each. For fewer rows than the key is wide.
// Knows no model.

import { gramOfRows } from './block-columns.js';
import type { CholeskyFactor } from './cholesky.js';
import { choleskySolve } from './cholesky-solve.js';
import {
  type EquationForm,
  type EquationSizes,
  factorOrThrow,
  type MetaGradient,
  type SolvedShift,
} from './equation-form.js';
import { keepHandles, withHandles } from './handle-scope.js';
import { KeyRowBuffer, type KeyRows } from './key-rows.js';
import type { MatrixOps } from './matrix-ops.js';

/**
 * Peak memory in float32 numbers, with n rows: adding, n (k + v), and twice that while the chunks are joined; solving,
 * n k + n^2/2 + 3 n v + k v. The solution keeps n k + n^2/2 + n v + k v; a meta-gradient keeps n v and needs 3 n v to be made.
 */
export class DualEquation<M> implements EquationForm<M> {
  readonly #ops: MatrixOps<M>;
  readonly #sizes: EquationSizes;
  readonly #rows: KeyRowBuffer<M>;

  constructor(ops: MatrixOps<M>, sizes: EquationSizes) {
    this.#ops = ops;
    this.#sizes = sizes;
    this.#rows = new KeyRowBuffer(ops);
  }

  add(rows: KeyRows<M>): Promise<void> {
    return this.#rows.add(rows);
  }

  async solve(): Promise<SolvedShift<M>> {
    const ops = this.#ops;
    return keepHandles(ops, async (scope) => {
      const rows = await this.#rows.take();
      const keys = scope.adopt(rows.keys);
      const changes = scope.adopt(rows.changes);
      const factor = await factorOrThrow(scope, await gramOfRows(ops, keys, this.#sizes.tile), this.#sizes);
      const coefficients = await scope.own(choleskySolve(factor, changes)); // [n, v]
      scope.release(changes);
      const shift = await scope.own(ops.multiply(keys, coefficients, { transposeA: true })); // [k, v]
      const lowRank = { keys, coefficients };
      const metaGradient = (weightGradient: M) => dualMetaGradient(factor, lowRank, weightGradient);
      const takeShift = () => scope.giveOnly(shift);
      return { form: 'dual', shift, lowRank, metaGradient, takeShift, release: () => scope.releaseAll() };
    });
  }

  release(): void {
    this.#rows.release();
  }
}

/** dL/dD = (K K^T + lambda I)^-1 K G;  dL/dlambda = -<dL/dD, coefficients>. */
function dualMetaGradient<M>(
  factor: CholeskyFactor<M>,
  { keys, coefficients }: { readonly keys: M; readonly coefficients: M },
  weightGradient: M,
): Promise<MetaGradient<M>> {
  const { ops } = factor;
  return keepHandles(ops, async (scope) => {
    const gradient = await withHandles(ops, async (inner) =>
      scope.own(choleskySolve(factor, await inner.own(ops.multiply(keys, weightGradient)))),
    );
    return {
      lambdaGradient: -(await ops.dot(gradient, coefficients)),
      changeGradient: (chunk, firstRow) =>
        ops.stackRows([ops.rows(gradient, firstRow, firstRow + ops.shape(chunk)[0])]),
      release: () => scope.releaseAll(),
    };
  });
}
