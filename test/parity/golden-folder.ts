// What a folder of golden numbers holds, found by looking: models, forward passes and editing runs. Knows no name and no size.

import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { architectures } from '../../src/models/index.js';
import { goldenPath, readJsonFile } from '../data/stored-data.js';

export interface GoldenModel {
  readonly name: string;
  readonly folder: string;
  readonly modelType: string;
  readonly supported: boolean;
}

/** `forward/NAME.safetensors` with the layers that its `NAME.json` names. */
export interface ForwardRecord {
  readonly model: GoldenModel;
  readonly file: string;
  readonly layers: readonly string[];
}

interface RunSettings {
  readonly ebs: number;
  readonly loc_coef: number;
  readonly max_grad_norm: number;
  readonly meta_lr: number;
  readonly n_blocks: number;
  readonly rank: number;
}

/** The parts of `malmen/NAME/LABEL.json` that are tested. */
export interface RunDescription {
  readonly algorithm: 'malmen' | 'mend';
  readonly token: string;
  readonly edit_modules: readonly string[];
  readonly name2idx: Readonly<Record<string, number>>;
  readonly config: RunSettings;
  readonly steps: readonly { readonly rows_per_batch: Readonly<Record<string, readonly number[]>> }[];
  readonly valid?: {
    readonly min_top1_margin: number;
    readonly wandb: { readonly ES: number; readonly GS: number; readonly LS: number };
    readonly mean_success_before_edit: { readonly edit: number; readonly equiv: number; readonly unrel: number };
  };
}

/** One training of a hyper-network: `malmen/NAME/LABEL.safetensors`. */
export interface EditingRun {
  readonly model: GoldenModel;
  readonly label: string;
  readonly folder: string;
  readonly description: RunDescription;
}

/** A golden folder may lack any of its parts; {@link isEmpty} tells when it lacks all. */
function list(path: string): string[] {
  return existsSync(path) ? readdirSync(path).sort() : [];
}

function stems(folder: string, ending: string): string[] {
  return list(folder).flatMap((file) => (file.endsWith(ending) ? [file.slice(0, -ending.length)] : []));
}

export function goldenModels(): GoldenModel[] {
  return list(goldenPath('models')).flatMap((name) => {
    const folder = resolve(goldenPath('models', name));
    const config = join(folder, 'config.json');
    if (!existsSync(config)) return [];
    const modelType = readJsonFile<{ readonly model_type: string }>(config).model_type;
    return [{ name, folder, modelType, supported: Object.hasOwn(architectures, modelType) }];
  });
}

/** The model that numbers in a file or folder of its name belong to. */
function modelOf(name: string): GoldenModel {
  const model = goldenModels().find((candidate) => candidate.name === name);
  if (!model) throw new Error(`${goldenPath()}: there are numbers for '${name}', but no models/${name}/config.json`);
  return model;
}

export function forwardRecords(): ForwardRecord[] {
  return stems(goldenPath('forward'), '.json').map((name) => {
    const { edit_modules, extra_modules } = readJsonFile<{
      readonly edit_modules: readonly string[];
      readonly extra_modules: readonly string[];
    }>(goldenPath('forward', `${name}.json`));
    const layers = [...edit_modules, ...extra_modules];
    return { model: modelOf(name), file: goldenPath('forward', `${name}.safetensors`), layers };
  });
}

export function editingRuns(): EditingRun[] {
  return list(goldenPath('malmen')).flatMap((name) => {
    const folder = goldenPath('malmen', name);
    return stems(folder, '.json').flatMap((label) => {
      const description = readJsonFile<RunDescription>(join(folder, `${label}.json`));
      return isTested(description) ? [{ model: modelOf(name), label, folder, description }] : [];
    });
  });
}

/** Other JSON files of the folder (examples, tolerances) have no algorithm. */
function isTested({ algorithm }: Partial<RunDescription>): boolean {
  return algorithm === 'malmen' || algorithm === 'mend';
}

export function isEmpty(): boolean {
  return goldenModels().length + forwardRecords().length + editingRuns().length === 0;
}
