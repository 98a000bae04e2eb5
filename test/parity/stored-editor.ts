// A hyper-network editor in a state that a golden editing run stored. Knows no step and no comparison.

import { join } from 'node:path';
import { HyperEditor } from '../../src/editors/hyper-editor.js';
import { malmen } from '../../src/editors/malmen.js';
import { mend } from '../../src/editors/mend.js';
import type { MetaMethod } from '../../src/editors/meta-method.js';
import { ResidentNetwork } from '../../src/editors/resident-network.js';
import { RunningMoments } from '../../src/editors/running-moments.js';
import type { EditableModel } from '../../src/engine/editable-model.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import type { LayerGroup } from '../../src/engine/layer-group.js';
import type { Resident } from '../../src/engine/runtime.js';
import type { TensorOf } from '../../src/tensor.js';
import type { EditingRun } from './golden-folder.js';
import { StoredTensors } from './stored-tensors.js';

/** An editing run with its files and its model open. */
export interface OpenRun extends EditingRun {
  readonly file: StoredTensors;
  readonly tuples: StoredTensors;
  readonly language: LanguageModel;
  readonly editable: EditableModel;
}

export async function openRun(run: EditingRun): Promise<OpenRun> {
  const language = await LanguageModel.open(run.model.folder);
  const { edit_modules, name2idx } = run.description;
  // Rows of the per-layer parameters go by name2idx; layers of one group take them in order.
  const names = [...edit_modules].sort((a, b) => name2idx[a]! - name2idx[b]!);
  const editable = await language.editing(language.layers(names));
  const file = await StoredTensors.open(join(run.folder, `${run.label}.safetensors`));
  const tuples = await StoredTensors.open(join(run.folder, 'tuples.safetensors'));
  return { ...run, file, tuples, language, editable };
}

/** The state before a step; after the last step, that before validation. */
export function stateBefore(step: number): string {
  return step === 0 ? 'init' : `step${step - 1}.state`;
}

/** The published prefix of a group's network: its key and value size. */
export function networkPrefix({ keySize, valueSize }: Pick<LayerGroup, 'keySize' | 'valueSize'>): string {
  return `(${keySize}, ${valueSize}).`;
}

/** Names of a network's parameters in the file, without `STATE.PREFIX`. */
function parameterNames({ file }: OpenRun, state: string, group: LayerGroup): string[] {
  const start = `${state}.${networkPrefix(group)}`;
  const own = file.names.filter((name) => name.startsWith(start)).map((name) => name.slice(start.length));
  return own.filter((name) => !name.startsWith('normalizer.'));
}

/** The running statistics under `PREFIXmean`, `...std`: as if two rows had been seen, so that the deviation is the stored one. */
export function storedDeviation(file: StoredTensors, prefix: string): RunningMoments {
  const squares = file.numbers(`${prefix}std`).map((deviation) => deviation ** 2);
  return RunningMoments.from({ count: 2, mean: file.numbers(`${prefix}mean`), squares });
}

/** The running statistics as they were stored, to be continued. `var` is the sum of squared deviations. */
export function storedMoments(file: StoredTensors, prefix: string): RunningMoments {
  const count = file.number(`${prefix}n`);
  return RunningMoments.from({
    count,
    mean: file.numbers(`${prefix}mean`),
    squares: file.numbers(`${prefix}var`),
  });
}

export interface EditorState {
  /** Where the parameters are, see {@link stateBefore}. */
  readonly parameters: string;
  readonly moments: (group: LayerGroup) => RunningMoments;
  /** Default: the run's own. */
  readonly method?: MetaMethod;
}

export function methodOf({ description }: EditingRun): MetaMethod {
  return description.algorithm === 'mend' ? mend : malmen;
}

export async function storedEditor(run: OpenRun, state: EditorState): Promise<HyperEditor> {
  const { rank, n_blocks, ebs } = run.description.config;
  const method = state.method ?? methodOf(run);
  const networks: ResidentNetwork[] = [];
  for (const group of run.editable.groups) {
    const start = `${state.parameters}.${networkPrefix(group)}`;
    const names = parameterNames(run, state.parameters, group);
    const tensors = new Map(names.map((name) => [name, run.file.float32(start + name)]));
    const { keySize, valueSize, layers } = group;
    const shape = { keySize, valueSize, layers: layers.length, rank, blocks: n_blocks };
    const options = { shape, moments: [state.moments(group)], rowLimit: ebs };
    networks.push(await ResidentNetwork.open(run.editable.runtime, method, tensors, options));
  }
  return new HyperEditor(method, run.description.token === 'all' ? 'all' : 'answers', networks);
}

export async function floats({ runtime }: Pick<EditableModel, 'runtime'>, resident: Resident): Promise<Float32Array> {
  return (await runtime.download<TensorOf<'f32'>>(resident)).data;
}
