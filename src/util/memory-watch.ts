// The memory of this process while something runs, by kind: what it took for itself, and files that it has mapped.

import { readFileSync } from 'node:fs';

/** High-water marks in bytes. */
export interface MemoryPeaks {
  /** Taken from the system: what the process really costs. Where the system does not tell, the whole resident set. */
  readonly anonymous: number;
  /** Mapped file pages that are in memory: page cache, given up when others need it. Undefined where the system does not tell. */
  readonly mapped: number | undefined;
}

/** Short against the life of a large tensor. */
const intervalMs = 20;

/** Samples until it is stopped; does not keep the process alive. */
export class MemoryWatch {
  #anonymous = 0;
  #mapped: number | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#sample();
    this.#timer = setInterval(() => this.#sample(), intervalMs);
    this.#timer.unref();
  }

  #sample(): void {
    const { anonymous, mapped } = residentMemory();
    this.#anonymous = Math.max(this.#anonymous, anonymous);
    if (mapped !== undefined) this.#mapped = Math.max(this.#mapped ?? 0, mapped);
  }

  /** The peaks so far. */
  peaks(): MemoryPeaks {
    this.#sample();
    return { anonymous: this.#anonymous, mapped: this.#mapped };
  }

  stop(): MemoryPeaks {
    clearInterval(this.#timer);
    return this.peaks();
  }
}

/** Now. Linux tells anonymous and file pages apart; elsewhere the whole counts as anonymous. */
export function residentMemory(): MemoryPeaks {
  try {
    const status = readFileSync('/proc/self/status', 'utf8');
    const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]);
    const [anonymous, mapped] = [kilobytes('RssAnon') * 1024, kilobytes('RssFile') * 1024];
    if (Number.isFinite(anonymous + mapped)) return { anonymous, mapped };
  } catch {
    // No /proc: not Linux.
  }
  return { anonymous: process.memoryUsage.rss(), mapped: undefined };
}
