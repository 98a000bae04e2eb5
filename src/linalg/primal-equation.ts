// S = (K^T K + lambda P)^-1 K^T D, P the identity unless given, from sums over chunks of rows: memory does not depend on how many rows there are.
// Knows no model.

import { addGramOfColumns } from './block-columns.js';
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
import { rowsAtOnce } from './row-buffer.js';

/**
 * Peak memory in float32 numbers, with k^2/2 for the lower half of the Gram matrix (the tiles on its diagonal are whole)
 * and r for the rows at once (`rowsAtOnce`) and one chunk: adding, k^2/2 + k v + 4 r (k + v); solving, k^2/2 + 3 k v. The solution
 * keeps k^2/2 + k v; a meta-gradient keeps k v and needs 2 k v to be made. A penalty that is added takes k^2/2 more for that
 * moment.
 */
export class PrimalEquation<M> implements EquationForm<M> {
  readonly #ops: MatrixOps<M>;
  readonly #sizes: EquationSizes<M>;
  readonly #pending: KeyRowBuffer<M>;
  /** Block columns of K^T K. */
  readonly #gram: M[] = [];
  /** K^T D `[k, v]`, at most one. */
  readonly #cross: M[] = [];

  constructor(ops: MatrixOps<M>, sizes: EquationSizes<M>) {
    this.#ops = ops;
    this.#sizes = sizes;
    this.#pending = new KeyRowBuffer(ops);
  }

  async add({ keys, changes }: KeyRows<M>): Promise<void> {
    const ops = this.#ops;
    const [count] = ops.shape(keys);
    const slice = (start: number, end: number) => ({
      keys: ops.rows(keys, start, end),
      changes: ops.rows(changes, start, end),
    });
    const enough = rowsAtOnce(this.#sizes.keySize);
    let start = 0;
    if (this.#pending.count === 0)
      for (; start + enough <= count; start += enough) await this.#sum(slice(start, start + enough));
    if (start === count) return;
    await this.#pending.add(slice(start, count));
    if (this.#pending.count >= enough) await this.#sumPending();
  }

  async solve(): Promise<SolvedShift<M>> {
    if (this.#pending.count > 0) await this.#sumPending();
    return keepHandles(this.#ops, async (scope) => {
      const cross = scope.adopt(this.#cross.pop()!);
      const { keySize: size, tile } = this.#sizes;
      const factor = await factorOrThrow(scope, { size, tile, columns: this.#gram.splice(0) }, this.#sizes);
      const shift = await scope.own(choleskySolve(factor, cross));
      scope.release(cross);
      const solution = { factor, shift, penalty: this.#sizes.penalty };
      const metaGradient = (weightGradient: M) => primalMetaGradient(solution, weightGradient);
      return {
        form: 'primal',
        shift,
        metaGradient,
        takeShift: () => scope.giveOnly(shift),
        release: () => scope.releaseAll(),
      };
    });
  }

  release(): void {
    this.#pending.release();
    this.#ops.release(...this.#gram.splice(0), ...this.#cross.splice(0));
  }

  #sumPending(): Promise<void> {
    return withHandles(this.#ops, async (scope) => {
      const { keys, changes } = await this.#pending.take();
      await this.#sum({ keys: scope.adopt(keys), changes: scope.adopt(changes) });
    });
  }

  /** K is transposed once: rows of K^T are views, and the runtime multiplies them faster than columns of K. */
  #sum({ keys, changes }: KeyRows<M>): Promise<void> {
    return withHandles(this.#ops, async (scope) => {
      const transposed = await scope.own(this.#ops.transpose(keys)); // [k, n]
      await addGramOfColumns(this.#ops, this.#gram, transposed, this.#sizes.tile);
      const cross = this.#cross[0];
      if (cross === undefined) this.#cross[0] = await this.#ops.multiply(transposed, changes);
      else await this.#ops.addProduct(cross, transposed, changes);
    });
  }
}

interface PrimalSolution<M> {
  /** Of K^T K + lambda P. */
  readonly factor: CholeskyFactor<M>;
  readonly shift: M;
  readonly penalty: M | undefined;
}

/** M = (K^T K + lambda P)^-1 G;  dL/dD = K M;  dL/dlambda = -<M, P S>. */
function primalMetaGradient<M>(
  { factor, shift, penalty }: PrimalSolution<M>,
  weightGradient: M,
): Promise<MetaGradient<M>> {
  const { ops } = factor;
  return keepHandles(ops, async (scope) => {
    const m = await scope.own(choleskySolve(factor, weightGradient));
    const penalised = penalty === undefined ? shift : await scope.own(ops.multiply(penalty, shift));
    const lambdaGradient = -(await ops.dot(m, penalised));
    if (penalty !== undefined) scope.release(penalised);
    return {
      lambdaGradient,
      changeGradient: (keys) => ops.multiply(keys, m),
      release: () => scope.releaseAll(),
    };
  });
}
