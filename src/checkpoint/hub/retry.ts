// Trying again after failures that pass: dropped connections, busy servers. Knows no request.

import { setTimeout as sleep } from 'node:timers/promises';

/** A failure that may be over in a moment. */
export class TransientError extends Error {
  constructor(
    message: string,
    /** How long the server asks to wait. */
    readonly waitMs?: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface RetryOptions {
  readonly signal: AbortSignal;
  /** Before the second attempt; doubled for each one after it. */
  readonly waitMs: number;
}

/** Attempts in a row that bring nothing before it is given up. */
const attempts = 5;
const longestWaitMs = 30_000;

/**
 * Runs `attempt` until it succeeds or fails for good. One that got further than the one before (`progress` grew) counts as
 * the first again.
 */
export async function retrying<T>(
  attempt: () => Promise<T>,
  { signal, waitMs }: RetryOptions,
  progress: () => number = () => 0,
): Promise<T> {
  let reached = progress();
  for (let failures = 0; ; ) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      failures = progress() > reached ? 1 : failures + 1;
      reached = progress();
      if (failures >= attempts) throw error;
      const wait = error.waitMs ?? waitMs * 2 ** (failures - 1);
      await sleep(Math.min(wait, longestWaitMs), undefined, { signal });
    }
  }
}
