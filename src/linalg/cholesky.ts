// Blocked Cholesky factor of a large symmetric matrix: matrix products, and one small tile at a time in float64.
// Knows no normal equation; a matrix that is not positive definite is a result here, not an error.

import { f32, type TensorOf } from '../tensor.js';
import { type BlockColumns, tileStarts } from './block-columns.js';
import { type FailedPivot, invertedCholesky } from './dense-cholesky.js';
import { allSettled, type HandleScope, withHandles } from './handle-scope.js';
import type { MatrixOps } from './matrix-ops.js';

/** Rounding unit of float32: the part of a diagonal entry that its sums have lost. */
const ROUNDING = 2 ** -24;

/** L_jj^-T `[tile, tile]`. */
interface FactorTile<M> {
  readonly inverse: M;
}

/** Block column j of L: its tile, and L[(j + 1) * tile.., j] below that; the last column has nothing below. */
interface FactorColumn<M> extends FactorTile<M> {
  readonly below?: M;
}

/** A = L L^T. */
export interface CholeskyFactor<M> {
  readonly ops: MatrixOps<M>;
  readonly size: number;
  readonly columns: readonly FactorColumn<M>[];
  /** All its matrices, for their owner to release. */
  readonly handles: readonly M[];
}

export function isFailedPivot(result: object): result is FailedPivot {
  return 'row' in result && 'value' in result;
}

/**
 * Factors A + ridge I, right-looking:
 *
 *     L_jj L_jj^T = A_jj            float64; the ridge is added there, so that float32 does not round it away
 *     L_ij = A_ij L_jj^-T           i > j, one product
 *     A_il = A_il - L_ij L_lj^T     i >= l > j, one product for each block column l
 *
 * While the tile of the next column is factored here, the columns after it are updated there. A pivot must exceed the
 * rounding error of the diagonal entry that it is left of; otherwise it is noise.
 *
 * Consumes `matrix`, also when it fails. Each block column is released when its successor exists: the peak is the lower
 * half, one block column and one tile.
 */
export async function choleskyFactor<M>(
  ops: MatrixOps<M>,
  matrix: BlockColumns<M>,
  ridge = 0,
): Promise<CholeskyFactor<M> | FailedPivot> {
  return withHandles(ops, async (scope) => {
    for (const column of matrix.columns) scope.adopt(column);
    const factoring = new Factoring(scope, matrix, { ridge, floors: await pivotFloors(ops, matrix, ridge) });
    return factoring.run();
  });
}

/** The smallest pivot that is more than noise, for each row of each tile. */
function pivotFloors<M>(ops: MatrixOps<M>, matrix: BlockColumns<M>, ridge: number): Promise<Float64Array[]> {
  const floorsOf = async (column: M) => {
    const { data, shape } = await downloadTop(ops, column);
    return Float64Array.from({ length: shape[0]! }, (_, i) => ROUNDING * (data[i * shape[0]! + i]! + ridge));
  };
  return Promise.all(matrix.columns.map(floorsOf));
}

interface PivotRules {
  readonly ridge: number;
  readonly floors: readonly Float64Array[];
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
  async #eliminate(top: FactorTile<M>): Promise<FactorTile<M> | FailedPivot> {
    const column = this.#rest.shift()!;
    const below = await this.#own(this.#ops.multiply(rowsFrom(this.#ops, column, this.matrix.tile), top.inverse));
    this.scope.release(column);
    this.#factored.push({ ...top, below });
    await this.#subtract(below, 0);
    const [next] = await allSettled(this.#factorTile(), this.#subtractFromOthers(below));
    return next;
  }

  /** One after another, so that each frees its predecessor before the next needs room. */
  async #subtractFromOthers(below: M): Promise<void> {
    for (let index = 1; index < this.#rest.length; index++) await this.#subtract(below, index);
  }

  /** A_il -= L_ij L_lj^T for the block column l that is `index` in the rest. */
  async #subtract(below: M, index: number): Promise<void> {
    const old = this.#rest[index]!;
    const [, width] = this.#ops.shape(old);
    const left = rowsFrom(this.#ops, below, index * this.matrix.tile);
    const right = this.#ops.rows(left, 0, width);
    const product = this.#ops.multiply(left, right, { transposeB: true, alpha: -1, plus: old });
    this.#rest[index] = await this.#own(product);
    this.scope.release(old);
  }

  /** L_jj^-T of the tile on top of the rest. */
  async #factorTile(): Promise<FactorTile<M> | FailedPivot> {
    const { data, shape } = await downloadTop(this.#ops, this.#rest[0]!);
    const floors = this.rules.floors[this.#factored.length]!;
    const inverse = invertedCholesky(data, shape[0]!, { ridge: this.rules.ridge, floors });
    if (isFailedPivot(inverse)) return inverse;
    return { inverse: await this.#own(this.#ops.upload(f32(inverse, shape))) };
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

/** The diagonal tile of a block column. */
function downloadTop<M>(ops: MatrixOps<M>, column: M): Promise<TensorOf<'f32'>> {
  const [, width] = ops.shape(column);
  return ops.download(ops.rows(column, 0, width));
}

/** Rows [start, end of matrix) as a view. */
export function rowsFrom<M>(ops: MatrixOps<M>, matrix: M, start: number): M {
  return ops.rows(matrix, start, ops.shape(matrix)[0]);
}
