// What a folder of golden numbers holds, found by looking: models, forward passes and editing runs. Knows no name and no size.

import { existsSync, mkdtempSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { architectures, defineModel } from '../../src/models/index.js';
import type { ModelKind } from '../../src/util/model-kind.js';
import { goldenPath, readJsonFile } from '../data/stored-data.js';

export interface GoldenModel {
  readonly name: string;
  readonly folder: string;
  readonly modelType: string;
  readonly supported: boolean;
  /** Undefined where it is not supported. */
  readonly kind: ModelKind | undefined;
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
  /** The divergence of a batch was averaged; unrelated prompts then come in batches of four instead of one. */
  readonly mean_kl?: boolean;
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
    const stored = resolve(goldenPath('models', name));
    const config = join(stored, 'config.json');
    if (!existsSync(config)) return [];
    const folder = withStoredWeights(stored, name);
    const json = readJsonFile<{ readonly model_type: string }>(config);
    const supported = Object.hasOwn(architectures, json.model_type);
    const kind = supported ? defineModel(json).kind : undefined;
    return [{ name, folder, modelType: json.model_type, supported, kind }];
  });
}

const temporary = new Map<string, string>();

/**
 * The folder, or one that has as its `model.safetensors` the file with the layers that the stored numbers name: a checkpoint
 * with a task's head may lie beside the bare one.
 */
function withStoredWeights(folder: string, name: string): string {
  const numbers = goldenPath('forward', `${name}.json`);
  if (!existsSync(numbers) || !existsSync(join(folder, 'model.safetensors'))) return folder;
  const { edit_modules } = readJsonFile<{ readonly edit_modules: readonly string[] }>(numbers);
  const holds = (file: string) => {
    const names = tensorNames(join(folder, file));
    return edit_modules.every((layer) => names.has(`${layer}.weight`));
  };
  if (holds('model.safetensors')) return folder;
  const other = stems(folder, '.safetensors').map((stem) => `${stem}.safetensors`);
  const file = other.find(holds);
  return file === undefined ? folder : linkedFolder(folder, file);
}

function tensorNames(path: string): Set<string> {
  const bytes = readFileSync(path);
  const header = bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString('utf8');
  return new Set(Object.keys(JSON.parse(header) as Record<string, unknown>));
}

/** Lies among the test run's temporary files, which go when it ends. */
function linkedFolder(folder: string, weights: string): string {
  const known = temporary.get(folder);
  if (known !== undefined) return known;
  const linked = mkdtempSync(join(tmpdir(), 'malmen-golden-'));
  symlinkSync(join(folder, 'config.json'), join(linked, 'config.json'));
  symlinkSync(join(folder, weights), join(linked, 'model.safetensors'));
  temporary.set(folder, linked);
  return linked;
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
