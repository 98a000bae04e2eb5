// Writing models in the layout that they came in: what was not edited is copied byte for byte.

import { copyFile, readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { MalmenError } from '../errors.js';
import type { TensorOf } from '../tensor.js';
import { writeFileAtomic, writeFolderAtomic } from '../util/atomic-file.js';
import { indexFile, type ModelFolder } from './model-folder.js';
import { copiedSource, tensorSource, writeSafetensors } from './safetensors.js';

export interface SaveEditedModel {
  readonly base: ModelFolder;
  readonly out: string;
  readonly force: boolean;
  /** New values by tensor name, in the base's layout; stored in the base's dtype. */
  readonly edited: ReadonlyMap<string, TensorOf<'f32'>>;
  /** More files to put into the folder before it appears. */
  readonly alongside?: (folder: string) => Promise<void>;
}

/** Weights in formats that are not written; a stale copy beside edited weights would be read by other programs. */
const otherWeightFiles = new Set(['.bin', '.pt', '.pth', '.h5', '.msgpack', '.onnx', '.ot', '.gguf', '.safetensors']);

/** @returns names of weight files of the base that were left out because they would still hold the old weights */
export async function saveEditedModel({
  base,
  out,
  force,
  edited,
  alongside,
}: SaveEditedModel): Promise<{ leftOut: string[] }> {
  for (const name of edited.keys()) {
    if (!base.tensors.has(name)) throw new MalmenError('not-found', `${base.dir}: no tensor '${name}' to replace`);
  }
  const others = await otherFiles(base);
  await writeFolderAtomic(out, force, async (folder) => {
    for (const name of others.kept) await copyFile(join(base.dir, name), join(folder, name));
    for (const [name, file] of base.files) {
      const tensors = [...file.tensors.values()].sort((a, b) => a.offset - b.offset);
      const sources = tensors.map((entry) => {
        const change = edited.get(entry.name);
        return change ? tensorSource(entry.name, change, entry.dtype) : copiedSource(entry);
      });
      await writeSafetensors(join(folder, name), sources, file.metadata);
    }
    await alongside?.(folder);
  });
  return { leftOut: others.leftOut };
}

async function otherFiles({ dir, files }: ModelFolder): Promise<{ kept: string[]; leftOut: string[] }> {
  const kept: string[] = [];
  const leftOut: string[] = [];
  for (const item of await readdir(dir, { withFileTypes: true })) {
    const plain = item.isFile() || item.isSymbolicLink();
    if (!plain || item.name.startsWith('.') || files.has(item.name)) continue;
    const stale =
      otherWeightFiles.has(extname(item.name)) || (item.name.endsWith('.index.json') && item.name !== indexFile);
    (stale ? leftOut : kept).push(item.name);
  }
  return { kept, leftOut };
}

export interface NewModel {
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, TensorOf<'f32'>>;
  /** Further files by name, such as tokenizer.json. */
  readonly files: ReadonlyMap<string, string>;
}

/** Writes a new model's files into a folder that exists, weights last: a folder with weights is complete. */
export async function saveNewModel(folder: string, { config, tensors, files }: NewModel): Promise<void> {
  await writeFileAtomic(join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  for (const [name, content] of files) await writeFileAtomic(join(folder, name), content);
  const sources = [...tensors].map(([name, tensor]) => tensorSource(name, tensor));
  await writeSafetensors(join(folder, 'model.safetensors'), sources, { format: 'pt' });
}
