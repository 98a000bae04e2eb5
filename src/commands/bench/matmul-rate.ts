// The machine's matrix-product rate through the same runtime, measured in the same run as what is compared with it.

import type { Runtime } from '../../engine/runtime.js';
import { allFed } from '../../engine/weight-shift.js';
import { gemm, input } from '../../graph/build.js';
import { makeProgram } from '../../graph/program.js';
import { f32 } from '../../tensor.js';
import { Random } from '../../util/random.js';

const rows = 1024;
const inner = 768;
const columns = 3072;

/**
 * Best rate of `repeats` products [1024, 768] x [768, 3072], in floating-point operations per second. Into one place again
 * and again: how fast memory can be had is none of its business.
 */
export async function matmulRate(runtime: Runtime, repeats = 20): Promise<number> {
  const random = new Random(0);
  const matrix = (m: number, n: number) =>
    runtime.upload(
      f32(
        Float32Array.from({ length: m * n }, () => random.uniform() - 0.5),
        [m, n],
      ),
    );
  const a = await matrix(rows, inner);
  const b = await matrix(inner, columns);
  const c = await matrix(rows, columns);
  const product = makeProgram({ c: gemm(input('a', [rows, inner]), input('b', [inner, columns])) });
  const compiled = await runtime.compile(product, allFed);
  let best = Number.POSITIVE_INFINITY;
  for (let repeat = 0; repeat < repeats; repeat++) {
    const start = performance.now();
    await runtime.run(compiled, { a, b }, { into: { c } });
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  runtime.release(a, b, c);
  return (2 * rows * inner * columns) / best;
}
