// A parameter shift as a file: what was added to which module of which base model. Knows no editor.

import { MalmenError } from '../errors.js';
import type { TensorOf } from '../tensor.js';
import { readSafetensorsHeader, readTensor, tensorSource, writeSafetensors } from './safetensors.js';

export interface SavedShift {
  /** Content hash of the model that the shift was made for. */
  readonly baseHash: string;
  /** Name of the editor that made it. */
  readonly editor: string;
  /** [keySize, valueSize] by module. */
  readonly modules: ReadonlyMap<string, TensorOf<'f32'>>;
}

const format = 'malmen-shift-1';
const suffix = '.shift';

export async function saveShift(path: string, { baseHash, editor, modules }: SavedShift): Promise<void> {
  const sources = [...modules].map(([name, tensor]) => tensorSource(`${name}${suffix}`, tensor));
  await writeSafetensors(path, sources, { format, base_hash: baseHash, editor });
}

/** @throws MalmenError when the file is no shift or is damaged. */
export async function loadShift(path: string): Promise<SavedShift> {
  const { metadata, tensors } = await readSafetensorsHeader(path);
  if (metadata.format !== format) {
    throw new MalmenError(
      'bad-input',
      `${path}: not a parameter shift (metadata format is ${JSON.stringify(metadata.format)}, expected "${format}")`,
    );
  }
  const modules = new Map<string, TensorOf<'f32'>>();
  for (const [name, entry] of tensors) {
    const right = name.endsWith(suffix) && entry.dtype === 'f32' && entry.shape.length === 2;
    if (!right)
      throw new MalmenError('bad-input', `${path}: tensor '${name}': expected MODULE${suffix}, a float32 matrix`);
    modules.set(name.slice(0, -suffix.length), (await readTensor(entry)) as TensorOf<'f32'>);
  }
  return { baseHash: metadata.base_hash ?? '', editor: metadata.editor ?? 'unknown', modules };
}
