// A model as a Hugging Face folder: config.json and safetensors, sharded or not. Knows no architecture.

import { readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileError, MalmenError } from '../errors.js';
import { readSafetensorsHeader, type SafetensorsFile, type TensorEntry } from './safetensors.js';

export interface ModelFolder {
  /** Absolute. */
  readonly dir: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** The weight files in order, by their names inside the folder. */
  readonly files: ReadonlyMap<string, SafetensorsFile>;
}

const singleFile = 'model.safetensors';
export const indexFile = 'model.safetensors.index.json';

/** @throws MalmenError that names the missing, unreadable or contradictory file. */
export async function openModelFolder(folder: string): Promise<ModelFolder> {
  const dir = resolve(folder);
  if (!(await exists(dir)))
    throw new MalmenError('not-found', `${dir}: no such folder; a Hugging Face model folder was expected`);
  const config = await readConfig(dir);
  const files = new Map<string, SafetensorsFile>();
  for (const name of await weightFiles(dir)) files.set(name, await readSafetensorsHeader(join(dir, name)));
  const tensors = new Map<string, TensorEntry>();
  for (const [file, { tensors: own }] of files) {
    for (const [name, entry] of own) {
      if (tensors.has(name))
        throw new MalmenError('bad-input', `${join(dir, file)}: tensor '${name}' is also in another shard`);
      tensors.set(name, entry);
    }
  }
  return { dir, config, tensors, files };
}

async function readConfig(dir: string): Promise<Record<string, unknown>> {
  const path = join(dir, 'config.json');
  const config = await readJson(path);
  if (typeof config.model_type !== 'string') {
    throw new MalmenError(
      'bad-input',
      `${path}: model_type is missing; expected the name of an architecture such as "gpt2"`,
    );
  }
  return config;
}

/** A JSON object from a file. @throws MalmenError that names it. */
export async function readJson(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, 'utf8').catch((error) => {
    throw fileError(error, path, 'reading');
  });
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    throw new MalmenError('bad-input', `${path}: not JSON: ${(error as Error).message}`, { cause: error });
  }
  throw new MalmenError('bad-input', `${path}: expected a JSON object`);
}

async function weightFiles(dir: string): Promise<string[]> {
  if (await exists(join(dir, singleFile))) return [singleFile];
  const index = join(dir, indexFile);
  if (!(await exists(index))) {
    throw new MalmenError(
      'not-found',
      `${dir}: found neither ${singleFile} nor ${indexFile}; the model's weights are missing`,
    );
  }
  const map = (await readJson(index)).weight_map;
  if (typeof map !== 'object' || map === null) throw new MalmenError('bad-input', `${index}: weight_map is missing`);
  const names = [...new Set(Object.values(map).map(String))].sort();
  for (const name of names) {
    if (name !== basename(name))
      throw new MalmenError('bad-input', `${index}: names '${name}', a file outside the model's folder`);
    if (!(await exists(join(dir, name))))
      throw new MalmenError('not-found', `${index}: names shard '${name}', which is not in the folder`);
  }
  return names;
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
