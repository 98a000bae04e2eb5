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
  const compute = async (result: Value, feeds: Feeds): Promise<Resident> => {
    const compiled = await runtime.compile(makeProgram({ result }), allFed);
    return (await runtime.run(compiled, feeds, { keep: 'all' })).kept('result');
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
    multiply: (left, right, options = {}) => compute(product(options), productFeeds(left, right, options)),
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

function product({ transposeA = false, transposeB = false, alpha = 1, plus }: ProductOptions<Resident>): Value {
  const left = b.input('a', transposeA ? ['inner', 'rows'] : ['rows', 'inner']);
  const right = b.input('b', transposeB ? ['columns', 'inner'] : ['inner', 'columns']);
  const addend = plus && b.input('c', ['rows', 'columns']);
  return b.gemm(left, right, { transposeA, transposeB, alpha, ...(addend ? { plus: addend } : {}) });
}

function productFeeds(a: Resident, right: Resident, { plus }: ProductOptions<Resident>): Feeds {
  return { a, b: right, ...(plus ? { c: plus } : {}) };
}
