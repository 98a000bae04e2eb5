// Blocked Cholesky factor of a large symmetric matrix: matrix products, and one small tile at a time in float64.
// Knows no normal equation; a matrix that is not positive definite is a result here, not an error.

import { f32, type TensorOf } from '../tensor.js';
import { type BlockColumns, defaultTile, lowerBlockColumns, tileStarts } from './block-columns.js';
import { type CholeskyFactor, type FactorColumn, rowsFrom } from './cholesky-factor.js';
import { inverseTransposed } from './cholesky-solve.js';
import { type FailedPivot, invertedCholesky } from './dense-cholesky.js';
import { allSettled, type HandleScope, withHandles } from './handle-scope.js';
import type { MatrixOps } from './matrix-ops.js';

/** Rounding unit of float32: the part of a diagonal entry that its sums have lost. */
const ROUNDING = 2 ** -24;

/** Side of the largest diagonal tile that one thread factors; larger ones are factored by tiles of their own. */
const LARGEST_DENSE_TILE = 256;

export function isFailedPivot(result: object): result is FailedPivot {
  return 'row' in result && 'value' in result;
}

/**
 * Factors A + ridge I, right-looking:
 *
 *     L_jj L_jj^T = A_jj            float64; the ridge is added there, so that float32 does not round it away
 *     L_ij = A_ij L_jj^-T           i > j, one product
 *     A_il = A_il - L_ij L_lj^T     i >= l > j, one product in place for each block column l
 *
 * While the tile of the next column is factored here, the columns after it are updated there. A pivot must exceed the
 * rounding error of the diagonal entry that it is left of; otherwise it is noise.
 *
 * Consumes `matrix`, also when it fails. Each block column is released when its successor exists: the peak is the lower
 * half, one block column and three tiles.
 */
export async function choleskyFactor<M>(
  ops: MatrixOps<M>,
  matrix: BlockColumns<M>,
  ridge = 0,
): Promise<CholeskyFactor<M> | FailedPivot> {
  return withHandles(ops, async (scope) => {
    for (const column of matrix.columns) scope.adopt(column);
    return new Factoring(scope, matrix, { ridge, floors: await pivotFloors(ops, matrix, ridge) }).run();
  });
}

/** The smallest pivot that is more than noise, for each row. */
async function pivotFloors<M>(ops: MatrixOps<M>, matrix: BlockColumns<M>, ridge: number): Promise<Float64Array> {
  const floors = new Float64Array(matrix.size);
  for (const [at, start] of tileStarts(matrix.size, matrix.tile).entries()) {
    const { data, shape } = await ops.download(diagonalTile(ops, matrix.columns[at]!));
    for (let i = 0; i < shape[0]!; i++) floors[start + i] = ROUNDING * (data[i * shape[0]! + i]! + ridge);
  }
  return floors;
}

interface PivotRules {
  readonly ridge: number;
  readonly floors: Float64Array;
}

/** One factoring under way: the first `#factored.length` block columns are done, `#rest` waits with their products subtracted. */
class Factoring<M> {
  readonly #ops: MatrixOps<M>;
  readonly #factored: FactorColumn<M>[] = [];
  readonly #rest: M[];

  constructor(
    private readonly scope: HandleScope<M>,
    private readonly matrix: BlockColumns<M>,
    private readonly rules: PivotRules,
  ) {
    this.#ops = scope.ops;
    this.#rest = [...matrix.columns];
  }

  async run(): Promise<CholeskyFactor<M> | FailedPivot> {
    let top = await this.#factorTile();
    for (const start of tileStarts(this.matrix.size, this.matrix.tile)) {
      if (isFailedPivot(top)) return { row: start + top.row, value: top.value };
      if (this.#rest.length === 1) this.#factored.push(top);
      else top = await this.#eliminate(top);
    }
    return this.#handOver();
  }

  /** Finishes the first column of the rest and subtracts its products from the others; gives the next tile. */
  async #eliminate(top: FactorColumn<M>): Promise<FactorColumn<M> | FailedPivot> {
    const column = this.#rest.shift()!;
    const below = await this.#own(this.#ops.multiply(rowsFrom(this.#ops, column, this.matrix.tile), top.inverse));
    this.scope.release(column);
    this.#factored.push({ ...top, below });
    await this.#subtract(below, 0);
    const [next] = await allSettled(this.#factorTile(), this.#subtractFromOthers(below));
    return next;
  }

  /** All asked for at once: the factoring of a tile keeps this thread from asking for one after the other. */
  async #subtractFromOthers(below: M): Promise<void> {
    await allSettled(...this.#rest.slice(1).map((_, at) => this.#subtract(below, at + 1)));
  }

  /** A_il -= L_ij L_lj^T for the block column l that is `index` in the rest. */
  #subtract(below: M, index: number): Promise<void> {
    const target = this.#rest[index]!;
    const [, width] = this.#ops.shape(target);
    const left = rowsFrom(this.#ops, below, index * this.matrix.tile);
    const right = this.#ops.rows(left, 0, width);
    return this.#ops.addProduct(target, left, right, { transposeB: true, alpha: -1 });
  }

  /** L_jj^-T of the tile on top of the rest. */
  async #factorTile(): Promise<FactorColumn<M> | FailedPivot> {
    const tile = diagonalTile(this.#ops, this.#rest[0]!);
    const start = this.#factored.length * this.matrix.tile;
    const [size] = this.#ops.shape(tile);
    const rules = { ...this.rules, floors: this.rules.floors.subarray(start, start + size) };
    const inverse = await (size > LARGEST_DENSE_TILE ? invertedByTiles : invertedHere)(this.#ops, tile, rules);
    return isFailedPivot(inverse) ? inverse : { inverse: this.scope.adopt(inverse.inverse) };
  }

  #own(making: Promise<M>): Promise<M> {
    return this.scope.own(making);
  }

  #handOver(): CholeskyFactor<M> {
    const handles = this.#factored.flatMap(({ inverse, below }) =>
      below === undefined ? [inverse] : [inverse, below],
    );
    for (const handle of handles) this.scope.give(handle);
    return { ops: this.#ops, size: this.matrix.size, columns: this.#factored, handles };
  }
}

type Inverted<M> = Promise<{ readonly inverse: M } | FailedPivot>;

/** L^-T of a small tile, in this thread. */
async function invertedHere<M>(ops: MatrixOps<M>, tile: M, rules: PivotRules): Inverted<M> {
  const { data, shape }: TensorOf<'f32'> = await ops.download(tile);
  const inverse = invertedCholesky(data, shape[0]!, rules);
  return isFailedPivot(inverse) ? inverse : { inverse: await ops.upload(f32(inverse, shape)) };
}

/** L^-T of a tile that is factored by tiles itself. */
async function invertedByTiles<M>(ops: MatrixOps<M>, whole: M, rules: PivotRules): Inverted<M> {
  const [size] = ops.shape(whole);
  const tile = defaultTile(size);
  return withHandles(ops, async (scope) => {
    const columns = await lowerBlockColumns(ops, whole, tile);
    for (const column of columns) scope.adopt(column);
    const factor = await new Factoring(scope, { size, tile, columns }, rules).run();
    if (isFailedPivot(factor)) return factor;
    for (const handle of factor.handles) scope.adopt(handle);
    return { inverse: await inverseTransposed(factor) };
  });
}

/** The square on top of a block column. */
function diagonalTile<M>(ops: MatrixOps<M>, column: M): M {
  return ops.rows(column, 0, ops.shape(column)[1]);
}
