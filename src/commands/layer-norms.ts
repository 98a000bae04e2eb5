// How large a shift is beside the weights that it is added to. Knows no editor.

import type { EditableModel } from '../engine/editable-model.js';
import type { LayerNorms } from '../report/report-data.js';
import type { LazyTensor, TensorOf } from '../tensor.js';

/** Frobenius norms of each layer's shift `[keySize, valueSize]` and of its weight, in the order of `shift`. */
export async function layerNorms(
  { model }: EditableModel,
  shift: ReadonlyMap<string, TensorOf<'f32'> | LazyTensor>,
): Promise<LayerNorms[]> {
  const layers = [];
  for (const [name, tensor] of shift) {
    const weight = await model.read(`${name}.weight`);
    layers.push({ name, shiftNorm: norm('read' in tensor ? await tensor.read() : tensor), weightNorm: norm(weight) });
  }
  return layers;
}

const norm = ({ data }: TensorOf<'f32'>) => Math.sqrt(data.reduce((sum, value) => sum + value * value, 0));
