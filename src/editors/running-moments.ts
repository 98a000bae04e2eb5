// Exact running mean and deviation of rows, merged batch by batch in float64. Knows nothing of networks.

/** Moments of one batch of rows: `mean` and `squares`, the sum of squared deviations from that mean, per column. */
export interface BatchMoments {
  readonly count: number;
  readonly mean: ArrayLike<number>;
  readonly squares: ArrayLike<number>;
}

export class RunningMoments {
  readonly mean: Float64Array;
  /** Sum of squared deviations from the mean. */
  readonly squares: Float64Array;
  #count = 0;

  constructor(width: number) {
    this.mean = new Float64Array(width);
    this.squares = new Float64Array(width);
  }

  get count(): number {
    return this.#count;
  }

  /** To the last bit: merging them into empty moments would round. */
  static from({ count, mean, squares }: BatchMoments): RunningMoments {
    const moments = new RunningMoments(mean.length);
    moments.mean.set(mean);
    moments.squares.set(squares);
    moments.#count = count;
    return moments;
  }

  /**
   * With d = mean_b - mean and n = n_a + n_b: mean += d n_b / n, squares += squares_b + d^2 n_a n_b / n
   * (Chan, Golub and LeVeque 1979). One row is as good as many.
   */
  merge(batch: BatchMoments): void {
    if (batch.count === 0) return;
    const total = this.#count + batch.count;
    for (let i = 0; i < this.mean.length; i++) {
      const d = batch.mean[i]! - this.mean[i]!;
      this.mean[i]! += (d * batch.count) / total;
      this.squares[i]! += batch.squares[i]! + (d * d * this.#count * batch.count) / total;
    }
    this.#count = total;
  }

  /** Unbiased standard deviation per column; 1 while fewer than two rows were seen. */
  deviation(): Float32Array {
    if (this.#count < 2) return new Float32Array(this.mean.length).fill(1);
    return Float32Array.from(this.squares, (sum) => Math.sqrt(sum / (this.#count - 1)));
  }
}
