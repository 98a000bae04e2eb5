// Writing models in the layout that they came in: what was not edited is copied byte for byte. Knows no architecture.

import { copyFile, readdir, realpath, stat } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { fileError, MalmenError } from '../errors.js';
import { type LazyTensor, storageBytes, type TensorOf } from '../tensor.js';
import { writeFileAtomic, writeFolderAtomic } from '../util/atomic-file.js';
import { firstNotFinite } from './finite.js';
import { type ModelFolder, singleFile } from './model-folder.js';
import { type Patch, writePatched } from './patched-file.js';
import { tensorSource, writeSafetensors } from './safetensors.js';
import { elementOffsets, fileBytes, spanBytes, type TensorEntry } from './stored-tensor.js';
import type { WeightFile } from './weight-file.js';

/** A base model with other values in the edited tensors. */
export interface EditedModel {
  readonly base: ModelFolder;
  /** New values by tensor name, in the base's layout; stored in the base's dtype. */
  readonly edited: ReadonlyMap<string, TensorOf<'f32'> | LazyTensor>;
}

/** A model folder to write: that of `base` with other values in the edited tensors. */
export interface SaveEditedModel extends EditedModel {
  readonly out: string;
  /** Replaces a filled folder at `out`; never the base's own. */
  readonly force: boolean;
  /** More files to put into the folder before it appears. */
  readonly alongside?: (folder: string) => Promise<void>;
}

/** Weights in formats that are not written; a stale copy beside edited weights would be read by other programs. */
const otherWeightFiles: ReadonlySet<string> = new Set(
  '.bin .pt .pth .ckpt .safetensors .h5 .msgpack .npz .onnx .onnx_data .ot .gguf'.split(' '),
);

/**
 * Writes a whole folder or nothing. Sub-folders and hidden files of the base are not copied.
 * @returns names of weight files of the base that were left out because they would still hold the old weights
 * @throws MalmenError when an edited tensor does not fit the base's, or the base itself would be overwritten
 */
export async function saveEditedModel(save: SaveEditedModel): Promise<{ leftOut: string[] }> {
  const { base, out, force, edited, alongside } = save;
  await assertOutsideBase(base, out);
  return writeFolderAtomic(out, force, async (folder) => {
    const leftOut = await writeEditedModel(folder, { base, edited });
    await alongside?.(folder);
    return { leftOut };
  });
}

/**
 * Writes the files of {@link saveEditedModel} into an empty folder that exists, for those who put more into it before it appears.
 * @returns names of weight files of the base that were left out
 * @throws MalmenError when an edited tensor does not fit the base's
 */
export async function writeEditedModel(folder: string, { base, edited }: EditedModel): Promise<string[]> {
  for (const [name, tensor] of edited) assertFits(base, name, tensor);
  const { kept, leftOut } = await otherFiles(base);
  for (const name of kept) await copyInto(folder, base.dir, name);
  for (const [name, file] of base.files) await rewriteFile(join(folder, name), file, edited);
  return leftOut;
}

const storesFloat32: ReadonlySet<string> = new Set(['f32', 'f16', 'bf16', 'f64']);

function assertFits({ dir, tensors }: ModelFolder, name: string, { shape }: TensorOf<'f32'> | LazyTensor): void {
  const entry = tensors.get(name);
  if (!entry) throw new MalmenError('not-found', `${dir}: no tensor '${name}' to replace`);
  if (!storesFloat32.has(entry.dtype)) {
    throw new MalmenError('unsupported', `${dir}: tensor '${name}' is ${entry.dtype}; only floats can be edited`);
  }
  if (String(entry.shape) !== String(shape)) {
    throw new MalmenError('mismatch', `${dir}: tensor '${name}' is [${entry.shape}], its edited values are [${shape}]`);
  }
}

/** Replacing the base, or a folder around it, would destroy the only copy of what is not written. @throws MalmenError then */
export async function assertOutsideBase({ dir }: ModelFolder, out: string): Promise<void> {
  // A path that leads nowhere cannot be around the base.
  const target = await realpath(out).catch(() => undefined);
  const base = await realpath(dir);
  if (target === undefined || !`${base}${sep}`.startsWith(`${target}${sep}`)) return;
  throw new MalmenError('exists', `${out}: would replace the base model ${dir}; name another output folder`);
}

async function otherFiles({ dir, files, index }: ModelFolder): Promise<{ kept: string[]; leftOut: string[] }> {
  const kept: string[] = [];
  const leftOut: string[] = [];
  for (const name of (await readdir(dir)).sort()) {
    if (name.startsWith('.') || files.has(name)) continue;
    if (!(await isRegularFile(join(dir, name)))) continue;
    (name !== index && holdsWeights(name) ? leftOut : kept).push(name);
  }
  return { kept, leftOut };
}

/** An index counts as weights, unless it is the one that the base was opened by. */
const holdsWeights = (name: string) => otherWeightFiles.has(extname(name)) || name.endsWith('.index.json');

async function isRegularFile(path: string): Promise<boolean> {
  const info = await stat(path).catch((error) => {
    throw fileError(error, path, 'reading');
  });
  return info.isFile();
}

async function copyInto(folder: string, from: string, name: string): Promise<void> {
  await copyFile(join(from, name), join(folder, name)).catch((error) => {
    throw fileError(error, join(from, name), 'copying');
  });
}

/** A file without an edited tensor is the same bytes; in the others nothing but edited tensors changes. */
async function rewriteFile(path: string, file: WeightFile, edited: EditedModel['edited']): Promise<void> {
  const patches: Patch[] = [];
  for (const entry of file.tensors.values()) {
    const change = edited.get(entry.name);
    if (change) patches.push(editedPatch(entry, change));
  }
  await writePatched(path, file, patches);
}

/** Floats are rounded to the base's dtype, to nearest even. */
function editedPatch(entry: TensorEntry, change: TensorOf<'f32'> | LazyTensor): Patch {
  const content = async function* () {
    for await (const bytes of tensorSource(entry.name, change, entry.dtype).bytes()) {
      assertFinite(entry, bytes);
      yield entry.strides === undefined ? bytes : await scatter(entry, bytes);
    }
  };
  return { offset: entry.offset, bytes: spanBytes(entry), content };
}

/** A strided tensor's new elements among what lies between them. */
async function scatter(entry: TensorEntry, bytes: Uint8Array): Promise<Uint8Array> {
  const span = new Uint8Array(spanBytes(entry));
  let filled = 0;
  for await (const piece of fileBytes({ path: entry.path, offset: entry.offset, bytes: span.byteLength })) {
    span.set(piece, filled);
    filled += piece.byteLength;
  }
  const width = storageBytes[entry.dtype];
  let position = 0;
  for (const offset of elementOffsets(entry)) {
    span.set(bytes.subarray(position, position + width), offset);
    position += width;
  }
  return span;
}

/** An edit can leave the range of a 16-bit float; stored as infinity it would spoil the model. */
function assertFinite({ path, name, dtype }: TensorEntry, bytes: Uint8Array): void {
  const index = firstNotFinite(bytes, dtype);
  if (index < 0) return;
  throw new MalmenError('bad-input', `${path}: tensor '${name}': edited element ${index} is not finite as ${dtype}`);
}

export interface NewModel {
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, TensorOf<'f32'>>;
  /** Further files by name, such as tokenizer.json. */
  readonly files: ReadonlyMap<string, string>;
  /** How weights are stored, rounded to nearest. Default: as they are. */
  readonly dtype?: 'f32' | 'f16' | 'bf16';
}

/** Writes a new model's files into a folder that exists, weights last: a folder with weights is complete. */
export async function saveNewModel(folder: string, { config, tensors, files, dtype }: NewModel): Promise<void> {
  await writeFileAtomic(join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  for (const [name, content] of files) await writeFileAtomic(join(folder, name), content);
  const sources = [...tensors].map(([name, tensor]) => tensorSource(name, tensor, dtype));
  await writeSafetensors(join(folder, singleFile), sources, { format: 'pt' });
}
