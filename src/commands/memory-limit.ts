// `--memory`: chooses how the engine runs a job so that it stays within a limit, says so, and says in the end what it took.

import type { Running } from '../engine/schedule.js';
import { MalmenError } from '../errors.js';
import { formatBytes, parseByteSize } from '../util/byte-size.js';
import { MemoryWatch } from '../util/memory-watch.js';
import type { CommandContext } from './events.js';
import { estimateMemory, type MemoryJob } from './memory-estimate.js';

export interface RunPlan extends Running {
  /** Prompts per pass through the language model. */
  readonly batch: number;
}

export interface LimitedOptions {
  readonly memory?: string | undefined;
  readonly batch: number;
}

/**
 * Whole-model sessions where they fit, else one session per block, with smaller batches where it must be: none of it changes
 * a result beyond rounding. Without a limit: the whole model, as asked.
 * @throws MalmenError `bad-input` when the job does not fit in any way, with what it needs
 */
export function planRun(
  { memory, batch }: LimitedOptions,
  jobOf: (batch: number) => MemoryJob,
  { emit }: CommandContext,
): RunPlan {
  if (memory === undefined) return { schedule: 'whole', batch };
  const limit = parseByteSize(memory);
  const whole = estimateMemory('whole', jobOf(batch)).peak;
  const say = (reason: string) => emit({ kind: 'note', text: `memory ${formatBytes(limit)}: ${reason}` });
  if (whole <= limit) {
    say(`whole-model sessions, they need about ${formatBytes(whole)}`);
    return { schedule: 'whole', batch, keepsFreedBytes: limit - whole };
  }
  for (let size = batch; size >= 1; size = Math.floor(size / 2)) {
    const { peak, pass } = estimateMemory('blocks', jobOf(size));
    if (peak > limit) continue;
    const smaller = size < batch ? ` with ${size} prompts per pass instead of ${batch}` : '';
    say(
      `one session per block over mapped weights${smaller}, about ${formatBytes(peak)} (whole-model sessions would need about ${formatBytes(whole)})`,
    );
    return { schedule: 'blocks', batch: size, keepsFreedBytes: peak + pass <= limit ? limit - peak : 0 };
  }
  throw notEnough(limit, estimateMemory('blocks', jobOf(1)).peak, jobOf(1));
}

function notEnough(limit: number, least: number, { task, network, preserves }: MemoryJob): MalmenError {
  const less = preserves ? '--preserve 0, a lower --rank' : 'a lower --rank';
  const smaller = network && task === 'train' ? `${less}, fewer --edits or --layers` : 'fewer facts or layers';
  return new MalmenError(
    'bad-input',
    `--memory ${formatBytes(limit)} is not enough: block after block, one prompt at a time, this job still needs about ` +
      `${formatBytes(least)}; allow that much, or try ${smaller}`,
  );
}

/** Runs a command's work and says what memory it took; only where a limit was given. */
export async function withMemoryReport<R>(
  memory: string | undefined,
  { emit }: CommandContext,
  work: () => Promise<R>,
): Promise<R> {
  if (memory === undefined) return work();
  const watch = new MemoryWatch();
  try {
    return await work();
  } finally {
    const { anonymous, mapped } = watch.stop();
    const files = mapped === undefined ? '' : `, ${formatBytes(mapped)} of mapped files in the page cache`;
    const limit = parseByteSize(memory);
    const text = `peak memory: ${formatBytes(anonymous)} anonymous of ${formatBytes(limit)} allowed${files}`;
    emit({ kind: anonymous <= limit ? 'note' : 'warning', text });
  }
}
