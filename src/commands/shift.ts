// A saved shift put onto an open model, beside its untouched base weights.

import { loadShift, type SavedShift } from '../checkpoint/shift-file.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import type { Resident } from '../engine/runtime.js';
import type { Running } from '../engine/schedule.js';
import { MalmenError } from '../errors.js';
import type { EditableLayer } from '../models/model.js';
import type { Subject } from './subject.js';

/**
 * The model with a shift's layers opened; without a path, `weights` are the base weights.
 * @param runningOf how the engine is to run a model with these layers
 */
export async function openShift(
  subject: Subject,
  path: string | undefined,
  runningOf: (layers: readonly EditableLayer[]) => Running = () => ({ schedule: 'whole' }),
): Promise<{ editable: EditableModel; weights: LayerTensors; saved: SavedShift | undefined }> {
  const { model, hash } = subject;
  if (path === undefined) {
    const editable = await model.editing([], runningOf([]));
    return { editable, weights: editable.base, saved: undefined };
  }
  const saved = await loadShift(path);
  if (saved.baseHash !== hash) {
    throw new MalmenError(
      'mismatch',
      `${path}: this shift was made for another model (content ${saved.baseHash.slice(0, 12)}) than ${model.folder.dir} ` +
        `(content ${hash.slice(0, 12)}); give the unedited model that it was made for`,
    );
  }
  const layers = model.layers([...saved.modules.keys()]);
  const editable = await model.editing(layers, runningOf(layers));
  return { editable, weights: await applyShift(editable, layers, saved, path), saved };
}

async function applyShift(
  editable: EditableModel,
  layers: readonly EditableLayer[],
  { modules }: SavedShift,
  path: string,
): Promise<LayerTensors> {
  const shift = new Map<string, Resident>();
  for (const { name, keySize, valueSize } of layers) {
    const tensor = modules.get(name);
    if (!tensor || String(tensor.shape) !== String([keySize, valueSize])) {
      throw new MalmenError(
        'mismatch',
        `${path}: the shift of ${name} must be [${keySize}, ${valueSize}], got [${tensor?.shape}]`,
      );
    }
    shift.set(name, await editable.runtime.upload(tensor));
  }
  const weights = await editable.shifted(shift);
  editable.runtime.release(...shift.values());
  return weights;
}
