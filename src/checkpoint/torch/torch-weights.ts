// A state_dict in a torch.save file as a file of weights. Knows no model.

import { MalmenError } from '../../errors.js';
import { elementCount, storageBytes } from '../../tensor.js';
import type { TensorEntry } from '../stored-tensor.js';
import type { WeightFile } from '../weight-file.js';
import { readTorchFile, type TorchFile } from './torch-file.js';
import { TorchTensor } from './torch-values.js';
import type { PickleDict, PickleValue } from './unpickle.js';

/** @throws MalmenError when what was saved is no dictionary of tensors by name */
export async function readTorchWeights(file: string): Promise<WeightFile> {
  const saved = await readTorchFile(file);
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of stateDict(saved)) {
    if (typeof name !== 'string' || !(value instanceof TorchTensor)) {
      throw new MalmenError('bad-input', `${file}: '${name}' is ${kindOf(value)}; expected a tensor for every name`);
    }
    tensors.set(name, torchEntry(saved, name, value));
  }
  return { path: saved.path, metadata: {}, tensors, checksums: saved.checksums };
}

function stateDict({ path, value }: TorchFile): PickleDict {
  if (!(value instanceof Map)) {
    throw new MalmenError('bad-input', `${path}: holds ${kindOf(value)}; expected a state_dict: tensors by name`);
  }
  const inner = [...value].find(([, item]) => item instanceof Map);
  if (inner === undefined) return value;
  throw new MalmenError(
    'bad-input',
    `${path}: a checkpoint with more than weights ('${inner[0]}' holds ${kindOf(inner[1])}); save the model's state_dict alone, torch.save(checkpoint['${inner[0]}'], FILE)`,
  );
}

function kindOf(value: PickleValue): string {
  if (value instanceof Map) return 'a dictionary';
  if (value instanceof TorchTensor) return 'a tensor';
  if (Array.isArray(value)) return 'a list';
  return value === null ? 'nothing' : `a ${typeof value}`;
}

/** Where a tensor lies; strides are given where they are not those of rows one after the other. */
export function torchEntry({ path, storageOffsets }: TorchFile, name: string, tensor: TorchTensor): TensorEntry {
  const { storage, dtype, shape, offset, strides } = tensor;
  const width = storageBytes[dtype];
  const place = {
    name,
    dtype,
    shape,
    path,
    offset: storageOffsets.get(storage.key)! + (storage.start + offset) * width,
    bytes: elementCount(shape) * width,
  };
  return isContiguous(shape, strides) ? place : { ...place, strides };
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}
