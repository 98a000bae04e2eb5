// The regularised least-squares problem of one edit module, S = argmin |K S - D|^2 + lambda tr(S^T P S), fed in chunks of rows:
// one Cholesky factor gives the parameter shift and its derivatives. Knows no model, no editor and no runtime.

import { MalmenError } from '../errors.js';
import { zeros } from '../tensor.js';
import { defaultTile } from './block-columns.js';
import { DualEquation } from './dual-equation.js';
import type { EquationForm, EquationSizes, Form, MetaGradient, SolvedShift } from './equation-form.js';
import type { MatrixOps } from './matrix-ops.js';
import { PrimalEquation } from './primal-equation.js';

export type { Form, SolvedShift };

export interface NormalEquationOptions<M> {
  /** Name of the edit module, for messages. */
  readonly module: string;
  readonly keySize: number;
  readonly valueSize: number;
  /** Key rows of all chunks that will be added. */
  readonly rows: number;
  /** The ridge: finite, not negative; 0 needs as many independent keys as the form's Gram matrix is wide. */
  readonly lambda: number;
  /**
   * P `[keySize, keySize]`, symmetric positive definite, the identity unless given: it makes directions expensive. The primal
   * form alone knows it. It stays the caller's, who keeps it until the solution is released.
   */
  readonly penalty?: M;
  /** The cheaper one unless given. */
  readonly form?: Form;
  /** Side of the diagonal tiles; chosen by the size of the Gram matrix unless given, see {@link defaultTile}. */
  readonly tile?: number;
}

/** An equation that is being fed; it owns copies, sums and nothing of the caller's. */
export interface NormalEquation<M> {
  readonly form: Form;
  /** Adds K `[rows, keySize]` and D `[rows, valueSize]` of some tokens. Await it before the next call. */
  add(keys: M, changes: M): Promise<void>;
  /**
   * The shift; the equation is used up. Values of D are not checked: a NaN there is a NaN in the shift.
   * @throws MalmenError 'not-positive-definite' with the module, the pivot and what to try
   */
  solve(): Promise<SolvedShift<M>>;
  /** Gives up an equation that will not be solved; does nothing after `solve`. */
  release(): void;
}

/**
 * S = (K^T K + lambda I)^-1 K^T D (MALMEN, ICLR 2024) or its dual form; without rows the shift is zero. With a penalty P,
 * lambda P in place of lambda I.
 *
 * @throws MalmenError 'bad-input' for a lambda that is negative or not finite
 * @example
 * const equation = openNormalEquation(ops, { module: 'h.3.mlp.c_proj', keySize: 3072, valueSize: 768, rows: 900, lambda: 1 });
 * for (const { keys, changes } of chunks) await equation.add(keys, changes);
 * const solved = await equation.solve();
 */
export function openNormalEquation<M>(ops: MatrixOps<M>, options: NormalEquationOptions<M>): NormalEquation<M> {
  checkLambda(options);
  const form = options.penalty ? 'primal' : (options.form ?? cheaperForm(options.rows, options.keySize));
  const sizes = { ...options, tile: options.tile ?? defaultTile(form === 'primal' ? options.keySize : options.rows) };
  const equation = form === 'primal' ? new PrimalEquation(ops, sizes) : new DualEquation(ops, sizes);
  return new CheckedEquation(ops, form, sizes, equation);
}

/**
 * The form with fewer operations. Forming the Gram matrix, factoring it and solving twice take
 * n k^2 + k^3/3 + 4 k^2 v in the primal and n^2 k + n^3/3 + 4 n^2 v in the dual form (both add 4 n k v): each term is
 * smaller in the dual form exactly when n < k.
 */
export function cheaperForm(rows: number, keySize: number): Form {
  return rows < keySize ? 'dual' : 'primal';
}

/** Guards a form against being fed what it was not opened for; these are mistakes of the caller's code, not of the user. */
class CheckedEquation<M> implements NormalEquation<M> {
  #added = 0;
  #used = false;

  constructor(
    private readonly ops: MatrixOps<M>,
    readonly form: Form,
    private readonly sizes: EquationSizes<M>,
    private readonly equation: EquationForm<M>,
  ) {}

  async add(keys: M, changes: M): Promise<void> {
    this.#checkUnused();
    const [count] = this.ops.shape(keys);
    this.#checkShape('keys', keys, [count, this.sizes.keySize]);
    this.#checkShape('changes', changes, [count, this.sizes.valueSize]);
    this.#added += count;
    if (this.#added > this.sizes.rows) throw this.#wrong(`opened for ${this.sizes.rows} rows, got ${this.#added}`);
    await this.equation.add({ keys, changes });
  }

  async solve(): Promise<SolvedShift<M>> {
    this.#checkUnused();
    if (this.#added !== this.sizes.rows) throw this.#wrong(`opened for ${this.sizes.rows} rows, got ${this.#added}`);
    this.#used = true;
    if (this.#added === 0) return zeroShift(this.ops, this.form, this.sizes);
    try {
      return await this.equation.solve();
    } finally {
      this.equation.release();
    }
  }

  release(): void {
    this.#used = true;
    this.equation.release();
  }

  #checkUnused(): void {
    if (this.#used) throw this.#wrong('already solved or released');
  }

  #checkShape(what: string, matrix: M, expected: readonly number[]): void {
    const got = this.ops.shape(matrix);
    if (got.join() !== expected.join()) throw this.#wrong(`${what} must be [${expected}], got [${got}]`);
  }

  #wrong(message: string): RangeError {
    return new RangeError(`normal equation of ${this.sizes.module}: ${message}`);
  }
}

/** No rows, no change: S = 0 whatever lambda is, and nothing to differentiate. */
async function zeroShift<M>(ops: MatrixOps<M>, form: Form, sizes: EquationSizes<M>): Promise<SolvedShift<M>> {
  const shift = await ops.upload(zeros([sizes.keySize, sizes.valueSize]));
  const metaGradient = async (): Promise<MetaGradient<M>> => ({
    lambdaGradient: 0,
    changeGradient: () => Promise.reject(new RangeError(`normal equation of ${sizes.module}: it had no rows`)),
    release() {},
  });
  return { form, shift, metaGradient, takeShift: () => shift, release: () => ops.release(shift) };
}

function checkLambda<M>({ module, lambda }: NormalEquationOptions<M>): void {
  if (Number.isFinite(lambda) && lambda >= 0) return;
  throw new MalmenError(
    'bad-input',
    `${module}: lambda must be a finite number that is not negative, got ${lambda}; 1 is a good start`,
  );
}
