// A parameter shift as a file: what was added to which module of which base model. Knows no editor and no model.

import { MalmenError } from '../errors.js';
import type { LazyTensor, TensorOf } from '../tensor.js';
import { firstNotFinite } from './finite.js';
import { readSafetensorsHeader, type TensorSource, tensorSource, writeSafetensors } from './safetensors.js';
import { readTensor, type TensorEntry } from './stored-tensor.js';
import { assertFinite } from './verify-weights.js';
import type { WeightFile } from './weight-file.js';

/** What `shift.safetensors` holds: the model it belongs to, who made it, a matrix for each edited layer. */
export interface SavedShift {
  /** Content hash of the model that the shift was made for: sha256, 64 hexadecimal digits. */
  readonly baseHash: string;
  /** Name of the editor that made it. */
  readonly editor: string;
  /** [keySize, valueSize] by module. */
  readonly modules: ReadonlyMap<string, TensorOf<'f32'>>;
}

const family = 'malmen-shift-';
const format = `${family}1`;
const suffix = '.shift';
const sha256 = /^[0-9a-f]{64}$/;

/** A shift to be saved; its matrices may be read one by one. */
export interface ShiftToSave extends Omit<SavedShift, 'modules'> {
  readonly modules: ReadonlyMap<string, TensorOf<'f32'> | LazyTensor>;
}

/** @throws MalmenError when a shift is not finite or the file cannot be written; no file is left then */
export async function saveShift(path: string, { baseHash, editor, modules }: ShiftToSave): Promise<void> {
  if (!sha256.test(baseHash) || editor === '') throw new RangeError('a shift needs its base model and its editor');
  const sources = [...modules].map(([name, tensor]) => shiftSource(path, name, tensor));
  await writeSafetensors(path, sources, { format, base_hash: baseHash, editor });
}

function shiftSource(path: string, name: string, tensor: TensorOf<'f32'> | LazyTensor): TensorSource {
  if (tensor.shape.length !== 2) throw new RangeError(`shift of '${name}' must be a matrix, got [${tensor.shape}]`);
  const source = tensorSource(`${name}${suffix}`, tensor);
  return { ...source, bytes: () => finiteBytes(path, name, source) };
}

async function* finiteBytes(path: string, name: string, source: TensorSource): AsyncGenerator<Uint8Array> {
  for await (const piece of source.bytes()) {
    const index = firstNotFinite(piece, 'f32');
    if (index >= 0)
      throw new MalmenError('bad-input', `${path}: shift of '${name}': element ${index} is NaN or infinite; not saved`);
    yield piece;
  }
}

/** @throws MalmenError when the file is no shift, is of another version or is damaged */
export async function loadShift(path: string): Promise<SavedShift> {
  const file = await readSafetensorsHeader(path);
  const origin = parseMetadata(path, file.metadata);
  const entries = [...file.tensors.values()];
  for (const entry of entries) assertShift(path, entry);
  await assertFinite(entries);
  const modules = new Map<string, TensorOf<'f32'>>();
  for (const entry of entries) {
    modules.set(entry.name.slice(0, -suffix.length), (await readTensor(entry)) as TensorOf<'f32'>);
  }
  return { ...origin, modules };
}

function parseMetadata(path: string, metadata: WeightFile['metadata']): Pick<SavedShift, 'baseHash' | 'editor'> {
  const fail = (problem: string) => new MalmenError('bad-input', `${path}: ${problem}`);
  const found = JSON.stringify(metadata.format) ?? 'missing';
  if (!metadata.format?.startsWith(family)) {
    throw fail(`not a parameter shift: its metadata's format is ${found}, expected "${format}"`);
  }
  if (metadata.format !== format) {
    throw new MalmenError('unsupported', `${path}: a shift in format ${found}; this program reads "${format}"`);
  }
  const { base_hash: baseHash = '', editor = '' } = metadata;
  if (!sha256.test(baseHash)) throw fail(`base_hash is '${baseHash}', expected the 64 hexadecimal digits of a sha256`);
  if (editor === '') throw fail('editor is missing; the file does not say what made the shift');
  return { baseHash, editor };
}

function assertShift(path: string, { name, dtype, shape }: TensorEntry): void {
  const named = name.endsWith(suffix) && name.length > suffix.length;
  if (named && dtype === 'f32' && shape.length === 2) return;
  throw new MalmenError(
    'bad-input',
    `${path}: tensor '${name}' is ${dtype} of shape [${shape}]; expected MODULE${suffix}, a float32 matrix`,
  );
}
