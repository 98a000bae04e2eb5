// What a training must remember to go on as if it had never stopped: networks, their statistics, and Adam's averages.

import type { HyperEditor } from '../editors/hyper-editor.js';
import { RunningMoments } from '../editors/running-moments.js';
import { lazyDownload, type Runtime } from '../engine/runtime.js';
import { MalmenError } from '../errors.js';
import type { TensorOf } from '../tensor.js';
import type { MetaTrainer } from '../train/meta-trainer.js';
import type { RunState, StateToSave } from '../train/run-folder.js';

/** Parameters of network `at`, without their prefix. */
export async function savedParameters({ tensors }: RunState, at: number): Promise<Map<string, TensorOf<'f32'>>> {
  const prefix = `network.${at}.`;
  const own = new Map<string, TensorOf<'f32'>>();
  for (const [name, tensor] of tensors) {
    if (name.startsWith(prefix)) own.set(name.slice(prefix.length), await tensor.read());
  }
  return own;
}

/**
 * The running statistics of network `at`, as many as it keeps, in order.
 * @throws MalmenError `mismatch` where the state is of another version of this program
 */
export function savedMoments({ doubles }: RunState, at: number, count: number): RunningMoments[] {
  return Array.from({ length: count }, (_, of) => {
    const [rows, mean, squares] = ['count', 'mean', 'squares'].map((part) => doubles?.get(momentsName(at, of, part)));
    if (rows && mean && squares) return RunningMoments.from({ count: rows[0]!, mean, squares });
    throw new MalmenError(
      'mismatch',
      `the saved state of the training has no ${momentsName(at, of, 'mean')}: it is of another version; train anew (--force)`,
    );
  });
}

const momentsName = (network: number, of: number, part: string) => `moments.${network}.${of}.${part}`;

/** The running statistics of network `at` by the names that {@link savedMoments} reads. */
export function momentsToSave(at: number, moments: readonly RunningMoments[]): [string, Float64Array][] {
  return moments.flatMap(({ count, mean, squares }, of): [string, Float64Array][] => [
    [momentsName(at, of, 'count'), Float64Array.of(count)],
    [momentsName(at, of, 'mean'), mean],
    [momentsName(at, of, 'squares'), squares],
  ]);
}

/** To be saved before the next step. */
export function trainingState(runtime: Runtime, trainer: MetaTrainer, { networks }: HyperEditor): StateToSave {
  const tensors = trainer.optimizerTensors();
  const doubles = new Map<string, Float64Array>();
  for (const [at, { parameters, moments }] of networks.entries()) {
    for (const [name, resident] of parameters) tensors.set(`network.${at}.${name}`, lazyDownload(runtime, resident));
    for (const [name, values] of momentsToSave(at, moments)) doubles.set(name, values);
  }
  return { step: trainer.step, tensors, doubles };
}
