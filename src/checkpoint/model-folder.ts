// A model as a Hugging Face folder: config.json and weights, in safetensors or of torch.save, sharded or not.
// Knows no architecture.

import { basename, join, resolve } from 'node:path';
import { MalmenError } from '../errors.js';
import { openWeightFile } from './open-weight-file.js';
import { statIfThere } from './read-file.js';
import { readJson } from './read-json.js';
import type { TensorEntry } from './stored-tensor.js';
import type { WeightFile } from './weight-file.js';
import { openShards } from './weight-shards.js';

/** A Hugging Face folder that was found whole: its configuration, and where every tensor's bytes are. */
export interface ModelFolder {
  /** Absolute. */
  readonly dir: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** The weight files in order, by the names that they have inside a folder. @internal */
  readonly files: ReadonlyMap<string, WeightFile>;
  /** Name of the index that led to them, where they are shards. */
  readonly index?: string;
}

export interface OpenFolderOptions {
  /** A file of weights to use instead of the folder's own. */
  readonly weights?: string | undefined;
}

export const singleFile = 'model.safetensors';

/** Where weights are looked for; the first that is there counts. */
export const weightFiles = [
  singleFile,
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
] as const;

export const isIndex = (name: string) => name.endsWith('.index.json');

/**
 * Reads the configuration and where the tensors are; no weight.
 * @throws MalmenError that names the missing, unreadable or contradictory file or tensor
 */
export async function openModelFolder(folder: string, { weights }: OpenFolderOptions = {}): Promise<ModelFolder> {
  const dir = resolve(folder);
  const info = await statIfThere(dir);
  if (!info) throw new MalmenError('not-found', `${dir}: no such folder; a Hugging Face model folder was expected`);
  if (!info.isDirectory()) {
    throw new MalmenError('bad-input', `${dir}: is a file; give the Hugging Face model folder that it lies in`);
  }
  const config = await readConfig(dir);
  const opened = weights === undefined ? await openOwnWeights(dir) : await openSingle(weights);
  return { dir, config, tensors: mergeTensors(dir, opened.files), ...opened };
}

async function readConfig(dir: string): Promise<Record<string, unknown>> {
  const path = join(dir, 'config.json');
  const config = await readJson(path);
  if (typeof config.model_type === 'string' && config.model_type !== '') return config;
  throw new MalmenError(
    'bad-input',
    `${path}: model_type is missing; expected the name of an architecture such as "gpt2"`,
  );
}

/** Which of the {@link weightFiles} a folder has; undefined for none. */
export async function findWeights(dir: string): Promise<(typeof weightFiles)[number] | undefined> {
  for (const name of weightFiles) if (await statIfThere(join(dir, name))) return name;
  return undefined;
}

async function openOwnWeights(dir: string): Promise<Pick<ModelFolder, 'files' | 'index'>> {
  const name = await findWeights(dir);
  if (name === undefined) {
    throw new MalmenError(
      'not-found',
      `${dir}: found none of ${weightFiles.join(', ')}; the model's weights are missing or in another format`,
    );
  }
  return isIndex(name) ? { files: await openShards(join(dir, name)), index: name } : openSingle(join(dir, name));
}

async function openSingle(path: string): Promise<Pick<ModelFolder, 'files'>> {
  return { files: new Map([[basename(path), await openWeightFile(path)]]) };
}

function mergeTensors(dir: string, files: ReadonlyMap<string, WeightFile>): Map<string, TensorEntry> {
  const merged = new Map<string, TensorEntry>();
  for (const [file, { tensors }] of files) {
    for (const [name, entry] of tensors) {
      if (merged.has(name)) {
        throw new MalmenError('bad-input', `${join(dir, file)}: tensor '${name}' is also in another shard`);
      }
      merged.set(name, entry);
    }
  }
  return merged;
}
