// A model as a Hugging Face folder: config.json and safetensors, sharded or not. Knows no architecture.

import { readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileError, MalmenError } from '../errors.js';
import { readSafetensorsHeader, type SafetensorsFile } from './safetensors.js';
import type { TensorEntry } from './stored-tensor.js';

export interface ModelFolder {
  /** Absolute. */
  readonly dir: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** The weight files in order, by their names inside the folder. */
  readonly files: ReadonlyMap<string, SafetensorsFile>;
}

export const singleFile = 'model.safetensors';
export const indexFile = 'model.safetensors.index.json';

/**
 * Reads the configuration and all headers; no weight. Of `model.safetensors` and an index of shards the former counts.
 * @throws MalmenError that names the missing, unreadable or contradictory file or tensor
 */
export async function openModelFolder(folder: string): Promise<ModelFolder> {
  const dir = resolve(folder);
  const info = await statOf(dir);
  if (!info) throw new MalmenError('not-found', `${dir}: no such folder; a Hugging Face model folder was expected`);
  if (!info.isDirectory()) {
    throw new MalmenError('bad-input', `${dir}: is a file; give the Hugging Face model folder that it lies in`);
  }
  const config = await readConfig(dir);
  const files = (await statOf(join(dir, singleFile)))
    ? new Map([[singleFile, await readSafetensorsHeader(join(dir, singleFile))]])
    : await readShards(dir);
  return { dir, config, tensors: mergeTensors(dir, files), files };
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

async function readShards(dir: string): Promise<Map<string, SafetensorsFile>> {
  const index = join(dir, indexFile);
  if (!(await statOf(index))) {
    throw new MalmenError(
      'not-found',
      `${dir}: found neither ${singleFile} nor ${indexFile}; the model's weights are missing or in another format`,
    );
  }
  const shardOf = await readWeightMap(index);
  const files = new Map<string, SafetensorsFile>();
  for (const shard of [...new Set(shardOf.values())].sort()) files.set(shard, await readShard(dir, shard));
  for (const [name, shard] of shardOf) {
    if (files.get(shard)!.tensors.has(name)) continue;
    throw new MalmenError('mismatch', `${index}: shard '${shard}' should hold tensor '${name}', but does not`);
  }
  return files;
}

/** The shard of every tensor, as the index has it. */
async function readWeightMap(index: string): Promise<Map<string, string>> {
  const map = (await readJson(index)).weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map) || Object.keys(map).length === 0) {
    throw new MalmenError(
      'bad-input',
      `${index}: weight_map is missing or empty; expected a file name for every tensor`,
    );
  }
  const entries: (readonly [string, string])[] = Object.entries(map).map(([name, shard]) => [
    name,
    fileInside(shard, `${index}: weight_map of '${name}'`),
  ]);
  return new Map(entries);
}

/** A checkpoint may come from anywhere: its index must not make this program read files elsewhere. */
function fileInside(shard: unknown, where: string): string {
  if (typeof shard !== 'string')
    throw new MalmenError('bad-input', `${where}: ${JSON.stringify(shard)} is no file name`);
  if (shard !== basename(shard) || ['', '.', '..'].includes(shard)) {
    throw new MalmenError('bad-input', `${where}: '${shard}' is not the name of a file inside the model's folder`);
  }
  return shard;
}

async function readShard(dir: string, shard: string): Promise<SafetensorsFile> {
  if (await statOf(join(dir, shard))) return readSafetensorsHeader(join(dir, shard));
  throw new MalmenError(
    'not-found',
    `${join(dir, indexFile)}: names shard '${shard}', which is not in the folder; the download is incomplete`,
  );
}

function mergeTensors(dir: string, files: ReadonlyMap<string, SafetensorsFile>): Map<string, TensorEntry> {
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

/** `undefined` when there is nothing at `path`. */
async function statOf(path: string) {
  return stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw fileError(error, path, 'reading');
  });
}
