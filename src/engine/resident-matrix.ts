// Matrix operations over resident tensors, for linear algebra: each is a small program, compiled once per variant.

import * as b from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import { makeProgram } from '../graph/program.js';
import type { MatrixOps, ProductOptions } from '../linalg/matrix-ops.js';
import { scalar, type TensorOf } from '../tensor.js';
import { type Feeds, type Resident, type Runtime, residentRows } from './runtime.js';
import { allFed } from './weight-shift.js';

/** The matrix operations of a runtime. */
export function residentMatrices(runtime: Runtime): MatrixOps<Resident> {
  const compile = (result: Value) => runtime.compile(makeProgram({ result }), allFed);
  const compute = async (result: Value, feeds: Feeds): Promise<Resident> =>
    (await runtime.run(await compile(result), feeds, { keep: 'all' })).kept('result');
  const computeInto = async (target: Resident, result: Value, feeds: Feeds): Promise<void> => {
    await runtime.run(await compile(result), feeds, { into: { result: target } });
  };
  const download = (matrix: Resident) => runtime.download<TensorOf<'f32'>>(matrix);
  return {
    upload: (tensor) => runtime.upload(tensor),
    download,
    shape: (matrix) => matrix.shape as readonly [number, number],
    rows: residentRows,
    columns: (matrix, start, end) =>
      compute(b.slice(b.input('x', ['rows', matrix.shape[1]!]), 1, start, end), { x: matrix }),
    stackRows: (matrices) => compute(...stacked(matrices)),
    transpose: (matrix) => compute(b.transpose(b.input('x', ['rows', 'columns']), [1, 0]), { x: matrix }),
    multiply: (a, right, options = {}) => compute(product(options), { a, b: right }),
    setProduct: (target, a, right, options = {}) =>
      inSlices(target, a, options, (part, left) => computeInto(part, product(options), { a: left, b: right })),
    // The runtime copies C to its output before it multiplies, so that one matrix may be both.
    addProduct: (target, a, right, options = {}) =>
      inSlices(target, a, options, (part, left) =>
        computeInto(part, product(options, addend), { a: left, b: right, c: part }),
      ),
    addScaled: (left, factor, right) => compute(scaledSum, { a: left, b: right, factor: scalar(factor) }),
    async dot(left, right) {
      const [x, y] = [(await download(left)).data, (await download(right)).data];
      let sum = 0;
      for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
      return sum;
    },
    release: (...matrices) => runtime.release(...matrices),
  };
}

/**
 * Rows of a product that are computed by one call. The runtime goes over its whole result once for each 256 or so of the inner
 * dimension: 2,048 rows of 1,024 stay in the cache meanwhile, 16,384 come from memory every time, which took a third longer.
 */
const SLICE_ROWS = 2048;

/** The products of a tall matrix slice by slice; columns, of which a transposed one would need slices, are no views. */
async function inSlices(
  target: Resident,
  a: Resident,
  { transposeA }: ProductOptions,
  compute: (target: Resident, a: Resident) => Promise<void>,
): Promise<void> {
  const [height] = target.shape as readonly [number, number];
  if (transposeA || height <= SLICE_ROWS) return compute(target, a);
  for (let start = 0; start < height; start += SLICE_ROWS) {
    const end = Math.min(start + SLICE_ROWS, height);
    await compute(residentRows(target, start, end), residentRows(a, start, end));
  }
}

function stacked(matrices: readonly Resident[]): [Value, Feeds] {
  // Equal heights get a name instead of a number, so that one compiled program serves all of them.
  const equal = matrices.every(({ shape }) => shape[0] === matrices[0]!.shape[0]);
  const parts = matrices.map(({ shape }, at) => b.input(`x${at}`, equal ? ['rows', shape[1]!] : shape));
  return [b.concat(parts, 0), Object.fromEntries(matrices.map((matrix, at) => [`x${at}`, matrix]))];
}

const scaledSum = b.add(
  b.input('a', ['rows', 'columns']),
  b.mul(b.input('b', ['rows', 'columns']), b.input('factor', [])),
);

const addend = b.input('c', ['rows', 'columns']);

function product({ transposeA = false, transposeB = false, alpha = 1 }: ProductOptions, plus?: Value): Value {
  const left = b.input('a', transposeA ? ['inner', 'rows'] : ['rows', 'inner']);
  const right = b.input('b', transposeB ? ['columns', 'inner'] : ['inner', 'columns']);
  return b.gemm(left, right, { transposeA, transposeB, alpha, ...(plus ? { plus } : {}) });
}
