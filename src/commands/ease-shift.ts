// `edit --ease`: takes a shift back as far as the edited facts allow. What is asked for once more than it needs is a margin for
// the edited facts, and a burden on all others.

import type { TokenizedRecord } from '../data/tokenized-record.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import type { Resident, Runtime } from '../engine/runtime.js';
import { scale } from '../engine/weight-shift.js';
import { success } from '../eval/metrics.js';
import { predictPairs } from '../eval/predict.js';
import type { CommandContext } from './events.js';

/** A shift that was scaled down. */
export interface Eased {
  /** What is left of it, 1: all. */
  readonly factor: number;
  /**
   * Facts whose whole answer, with its end where ends are edited, is the most likely one at their own prompt, under the whole
   * shift and under what is left.
   */
  readonly took: { readonly whole: number; readonly eased: number };
}

export interface EaseOptions {
  /** Share of the facts that took that may be lost. */
  readonly ease: number;
  readonly batch: number;
}

/** Hundredths of a shift that may be taken back at most. */
const mostHundredths = 50;

const without = (hundredths: number) => (100 - hundredths) / 100;

/**
 * Looks for the smallest factor, in hundredths, that costs no more facts than allowed: by halving, as if a smaller shift never took
 * more facts than a larger one. Nothing but the prompts that are edited is asked.
 * @param shift stays the caller's
 * @returns a shift of its own, even where all of it is needed
 */
export async function easeShift(
  editable: EditableModel,
  shift: LayerTensors,
  facts: readonly Pick<TokenizedRecord, 'edit'>[],
  { ease, batch }: EaseOptions,
  { emit, signal }: CommandContext,
): Promise<{ readonly shift: LayerTensors; readonly eased: Eased }> {
  const { runtime } = editable;
  const pairs = facts.map(({ edit }) => edit);
  const took = new Map<number, number>();
  const total = 1 + triesAmong(mostHundredths);
  const tell = (done: number) => emit({ kind: 'progress', stage: 'ease', done, total, unit: 'tries' });
  const tookWithout = async (hundredths: number): Promise<number> => {
    const scaled = await scaledShift(runtime, shift, without(hundredths));
    const weights = await editable.shifted(scaled);
    const found = await predictPairs(editable, [weights], pairs, { batch, signal });
    editable.releaseWeights(weights);
    runtime.release(...scaled.values());
    took.set(hundredths, found.filter(([prediction]) => success(prediction!) === 1).length);
    tell(took.size);
    return took.get(hundredths)!;
  };
  const whole = await tookWithout(0);
  const allowed = whole - Math.floor(ease * whole);
  const most = whole === 0 ? 0 : mostHundredths;
  const hundredths = await largestThat(most, async (some) => (await tookWithout(some)) >= allowed);
  tell(total); // Halving may need one try less.
  const factor = without(hundredths);
  return {
    shift: await scaledShift(runtime, shift, factor),
    eased: { factor, took: { whole, eased: took.get(hundredths)! } },
  };
}

/** Of 1 to `most` the largest that passes, 0 if none does, where every smaller one passes too. */
async function largestThat(most: number, passes: (some: number) => Promise<boolean>): Promise<number> {
  let [passed, failed] = [0, most + 1];
  while (failed - passed > 1) {
    const between = Math.floor((passed + failed) / 2);
    if (await passes(between)) passed = between;
    else failed = between;
  }
  return passed;
}

/** Of {@link largestThat}, at most. */
const triesAmong = (most: number) => Math.ceil(Math.log2(most + 1));

async function scaledShift(runtime: Runtime, shift: LayerTensors, factor: number): Promise<LayerTensors> {
  const scaled = new Map<string, Resident>();
  for (const [name, layer] of shift) scaled.set(name, await scale(runtime, layer, factor));
  return scaled;
}
