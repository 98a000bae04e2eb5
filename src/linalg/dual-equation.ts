// S = K^T (K K^T + lambda I)^-1 D: keeps the rows and solves for one coefficient row each. For fewer rows than the key is wide.
// Knows no model.

import { gramOfRows } from './block-columns.js';
import type { CholeskyFactor } from './cholesky-factor.js';
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
 * n k + n^2/2 + 5 n v + k v. The solution keeps n k + n^2/2 + n v + k v; a meta-gradient keeps n v and needs 5 n v + k v
 * to be made.
 */
export class DualEquation<M> implements EquationForm<M> {
  readonly #ops: MatrixOps<M>;
  readonly #sizes: EquationSizes<M>;
  readonly #rows: KeyRowBuffer<M>;

  constructor(ops: MatrixOps<M>, sizes: EquationSizes<M>) {
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
      const system = { factor, keys, lambda: this.#sizes.lambda };
      const coefficients = await scope.own(refinedSolve(system, changes)); // [n, v]
      scope.release(changes);
      const shift = await scope.own(ops.multiply(keys, coefficients, { transposeA: true })); // [k, v]
      const lowRank = { keys, coefficients };
      const metaGradient = (weightGradient: M) => dualMetaGradient(system, coefficients, weightGradient);
      const takeShift = () => scope.giveOnly(shift);
      return { form: 'dual', shift, lowRank, metaGradient, takeShift, release: () => scope.releaseAll() };
    });
  }

  release(): void {
    this.#rows.release();
  }
}

/** (K K^T + lambda I) with its factor. */
interface DualSystem<M> {
  readonly factor: CholeskyFactor<M>;
  /** K [n, k] */
  readonly keys: M;
  readonly lambda: number;
}

/**
 * X of (K K^T + lambda I) X = B with one step of iterative refinement (Higham, Accuracy and Stability of Numerical Algorithms,
 * ch. 12). The residual is formed from K itself, so what the float32 Gram matrix lost is found again. `b` stays the caller's.
 */
function refinedSolve<M>({ factor, keys, lambda }: DualSystem<M>, b: M): Promise<M> {
  const { ops } = factor;
  return withHandles(ops, async (scope) => {
    const x = await scope.own(choleskySolve(factor, b));
    const back = await scope.own(ops.multiply(keys, x, { transposeA: true })); // [k, v]
    const residual = await scope.own(ops.addScaled(b, -lambda, x));
    await ops.addProduct(residual, keys, back, { alpha: -1 });
    scope.release(back);
    const correction = await scope.own(choleskySolve(factor, residual));
    return ops.addScaled(x, 1, correction);
  });
}

/** dL/dD = (K K^T + lambda I)^-1 K G;  dL/dlambda = -<dL/dD, coefficients>. */
function dualMetaGradient<M>(system: DualSystem<M>, coefficients: M, weightGradient: M): Promise<MetaGradient<M>> {
  const { ops } = system.factor;
  return keepHandles(ops, async (scope) => {
    const gradient = await withHandles(ops, async (inner) =>
      scope.own(refinedSolve(system, await inner.own(ops.multiply(system.keys, weightGradient)))),
    );
    return {
      lambdaGradient: -(await ops.dot(gradient, coefficients)),
      changeGradient: (chunk, firstRow) =>
        ops.stackRows([ops.rows(gradient, firstRow, firstRow + ops.shape(chunk)[0])]),
      release: () => scope.releaseAll(),
    };
  });
}
