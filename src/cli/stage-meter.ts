// Rate and time left of one stage, from its progress events.
// Keeps no clock and draws nothing.

import type { CommandEvent } from '../commands/events.js';

export type ProgressEvent = Extract<CommandEvent, { kind: 'progress' }>;

/** The state of a stage at one moment. */
export interface StageReading {
  readonly stage: string;
  readonly unit: string;
  readonly done: number;
  readonly total: number | undefined;
  readonly values: Readonly<Record<string, number>>;
  readonly elapsedSeconds: number;
  /** Per second over the sliding window; `undefined` until something was done. */
  readonly rate: number | undefined;
  readonly leftSeconds: number | undefined;
  /** Per second from the first event on. */
  readonly meanRate: number | undefined;
}

interface Sample {
  readonly ms: number;
  readonly done: number;
}

/** The sliding window: long enough to be steady, short enough to follow a change. Slow stages keep some samples anyway. */
const windowMs = 10_000;
const leastSamples = 4;
/** Events that follow each other faster than this share a sample, so that the window stays small. */
const sampleEveryMs = 100;

export class StageMeter {
  readonly #first: Sample;
  #samples: Sample[];
  #latest: Sample;
  #event: ProgressEvent;

  constructor(event: ProgressEvent, nowMs: number) {
    this.#event = event;
    this.#first = { ms: nowMs, done: event.done };
    this.#latest = this.#first;
    this.#samples = [this.#first];
  }

  get event(): ProgressEvent {
    return this.#event;
  }

  update(event: ProgressEvent, nowMs: number): void {
    this.#event = event;
    this.#latest = { ms: nowMs, done: event.done };
    if (nowMs - this.#samples.at(-1)!.ms < sampleEveryMs) return;
    this.#samples.push(this.#latest);
    while (this.#samples.length > leastSamples && this.#samples[1]!.ms < nowMs - windowMs) this.#samples.shift();
  }

  read(nowMs: number): StageReading {
    const { stage, unit, done, total, values = {} } = this.#event;
    const rate = rateBetween(this.#samples[0]!, this.#latest);
    const sinceLatest = (nowMs - this.#latest.ms) / 1000;
    const left = rate === undefined || total === undefined ? undefined : (total - done) / rate - sinceLatest;
    return {
      stage,
      unit,
      done,
      total,
      values,
      elapsedSeconds: (nowMs - this.#first.ms) / 1000,
      rate,
      leftSeconds: left === undefined ? undefined : Math.max(0, left),
      meanRate: rateBetween(this.#first, this.#latest),
    };
  }
}

function rateBetween(from: Sample, to: Sample): number | undefined {
  const rate = ((to.done - from.done) * 1000) / (to.ms - from.ms);
  return rate > 0 && Number.isFinite(rate) ? rate : undefined;
}
