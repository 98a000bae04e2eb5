// What the primal and the dual form of a normal equation have in common: sizes, results, the error for a failed pivot.
// Knows neither form.

import { MalmenError } from '../errors.js';
import { type BlockColumns, lowerBlockColumns } from './block-columns.js';
import { choleskyFactor, isFailedPivot } from './cholesky.js';
import type { CholeskyFactor } from './cholesky-factor.js';
import type { FailedPivot } from './dense-cholesky.js';
import { type HandleScope, withHandles } from './handle-scope.js';
import type { KeyRows } from './key-rows.js';
import type { MatrixOps } from './matrix-ops.js';

/** `primal`: (K^T K + lambda I)^-1 K^T D; `dual`: K^T (K K^T + lambda I)^-1 D. */
export type Form = 'primal' | 'dual';

/** The equation of one edit module: K `[rows, keySize]`, D `[rows, valueSize]`. */
export interface EquationSizes<M> {
  /** Name of the edit module, for messages. */
  readonly module: string;
  readonly keySize: number;
  readonly valueSize: number;
  /** Key rows of all chunks together. */
  readonly rows: number;
  readonly lambda: number;
  /** P `[keySize, keySize]` in place of the identity beside lambda; primal form only. */
  readonly penalty?: M;
  readonly tile: number;
}

/** S with what is needed to differentiate it. `release` frees all matrices named here. */
export interface SolvedShift<M> {
  readonly form: Form;
  /** S `[keySize, valueSize]`. */
  readonly shift: M;
  /** Dual form only: S = keys^T coefficients, with K `[rows, keySize]` and `[rows, valueSize]`. */
  readonly lowRank?: { readonly keys: M; readonly coefficients: M };
  /** For G = dL/dS `[keySize, valueSize]`, which stays the caller's. */
  metaGradient(weightGradient: M): Promise<MetaGradient<M>>;
  /** Hands `shift` over to the caller and frees everything else. */
  takeShift(): M;
  release(): void;
}

/** Owns its matrices: it may be used after the solution it came from was released. */
export interface MetaGradient<M> {
  /** dL/dlambda; times lambda it is the derivative with respect to log lambda. */
  readonly lambdaGradient: number;
  /**
   * dL/dD `[chunk rows, valueSize]` of one chunk, owned by the caller. `keys` are the chunk's, and its first row was the
   * `firstRow`-th (from 0) of all that were added.
   */
  changeGradient(keys: M, firstRow: number): Promise<M>;
  release(): void;
}

/** One way to solve; used once. */
export interface EquationForm<M> {
  add(rows: KeyRows<M>): Promise<void>;
  /** At least one row was added. Leaves nothing to release but its result. */
  solve(): Promise<SolvedShift<M>>;
  /** Gives up what was added. */
  release(): void;
}

/** The factor of `gram` + lambda I or lambda P, owned by the scope; consumes `gram`. @throws MalmenError 'not-positive-definite' */
export async function factorOrThrow<M>(
  scope: HandleScope<M>,
  gram: BlockColumns<M>,
  sizes: EquationSizes<M>,
): Promise<CholeskyFactor<M>> {
  const { penalty, lambda } = sizes;
  const factor = penalty
    ? await choleskyFactor(scope.ops, await withPenalty(scope.ops, gram, lambda, penalty))
    : await choleskyFactor(scope.ops, gram, lambda);
  if (isFailedPivot(factor)) throw notPositiveDefinite(sizes, gram.size, factor);
  for (const handle of factor.handles) scope.adopt(handle);
  return factor;
}

/** `gram` + lambda P; consumes `gram`, column by column. */
async function withPenalty<M>(
  ops: MatrixOps<M>,
  { size, tile, columns: grams }: BlockColumns<M>,
  lambda: number,
  penalty: M,
): Promise<BlockColumns<M>> {
  const penalties = await lowerBlockColumns(ops, penalty, tile);
  return withHandles(ops, async (scope) => {
    for (const handle of [...grams, ...penalties]) scope.adopt(handle);
    const columns: M[] = [];
    for (const [at, column] of grams.entries()) {
      columns.push(await scope.own(ops.addScaled(column, lambda, penalties[at]!)));
      scope.release(column);
      scope.release(penalties[at]!);
    }
    for (const column of columns) scope.give(column);
    return { size, tile, columns };
  });
}

function notPositiveDefinite<M>(sizes: EquationSizes<M>, size: number, failed: FailedPivot): MalmenError {
  return new MalmenError(
    'not-positive-definite',
    `${sizes.module}: the normal equation of ${sizes.rows} key rows of size ${sizes.keySize} must be positive definite, ` +
      `but pivot ${failed.row} of ${size} is ${failed.value.toPrecision(3)} with lambda = ${sizes.lambda}; ${advice(failed.value)}`,
  );
}

function advice(pivot: number): string {
  return Number.isFinite(pivot)
    ? 'lambda is lost in the float32 rounding of the keys: take a larger lambda, or edit fewer facts with the same key at once'
    : 'a key is NaN, infinite or too large to be squared in float32: check the model and its inputs at this module';
}
