// Weights in several files, by an index that says which tensor is in which. Knows no architecture.

import { basename, dirname, join } from 'node:path';
import { MalmenError } from '../errors.js';
import { openWeightFile } from './open-weight-file.js';
import { statIfThere } from './read-file.js';
import { readJson } from './read-json.js';
import type { WeightFile } from './weight-file.js';

/** All shards that an index names, in order of their names. @throws MalmenError when index and shards disagree */
export async function openShards(index: string): Promise<Map<string, WeightFile>> {
  const shardOf = await readWeightMap(index);
  const files = new Map<string, WeightFile>();
  for (const shard of [...new Set(shardOf.values())].sort()) files.set(shard, await openShard(index, shard));
  for (const [name, shard] of shardOf) {
    if (!files.get(shard)!.tensors.has(name)) throw misplaced(index, name, shard, files);
  }
  return files;
}

/** The shard of every tensor, as the index has it. @throws MalmenError when it names anything but files of its folder */
export async function readWeightMap(index: string): Promise<Map<string, string>> {
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
  if (shard !== basename(shard) || shard.includes('\\') || ['', '.', '..'].includes(shard)) {
    throw new MalmenError('bad-input', `${where}: '${shard}' is not the name of a file inside the model's folder`);
  }
  return shard;
}

async function openShard(index: string, shard: string): Promise<WeightFile> {
  const path = join(dirname(index), shard);
  if (await statIfThere(path)) return openWeightFile(path);
  throw new MalmenError(
    'not-found',
    `${index}: names shard '${shard}', which is not in the folder; the download is incomplete`,
  );
}

function misplaced(index: string, name: string, shard: string, files: ReadonlyMap<string, WeightFile>): MalmenError {
  const holder = [...files].find(([, { tensors }]) => tensors.has(name))?.[0];
  const found = holder === undefined ? 'no shard does' : `'${holder}' does`;
  return new MalmenError('mismatch', `${index}: shard '${shard}' should hold tensor '${name}', but does not; ${found}`);
}
