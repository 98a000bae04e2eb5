// Milliseconds that one diagonal tile costs: its Cholesky factor and the inverse of that, in float64.
// Run: npx tsx bench/cholesky-tile.ts

import { invertedCholesky } from '../src/linalg/dense-cholesky.js';
import { Random } from '../src/util/random.js';

const SIZES = [32, 64, 128, 256, 384, 512];
const REPETITIONS = 20;

function positiveDefinite(size: number): Float32Array {
  const random = new Random(size);
  const out = new Float32Array(size * size);
  for (let r = 0; r < size; r++) {
    for (let c = 0; c < r; c++) out[r * size + c] = random.normal();
    out[r * size + r] = 2 * size;
  }
  return out;
}

function medianMs(work: () => void): number {
  const times = Array.from({ length: REPETITIONS }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[REPETITIONS / 2]!;
}

for (const size of SIZES) {
  const matrix = positiveDefinite(size);
  const ms = medianMs(() => invertedCholesky(matrix, size));
  const gigaflops = (2 * size ** 3) / 3 / ms / 1e6;
  console.log(`tile ${String(size).padStart(4)}: ${ms.toFixed(2).padStart(7)} ms, ${gigaflops.toFixed(1)} GFLOP/s`);
}
