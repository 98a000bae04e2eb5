// An edited weight as a host tensor, made when it is read: the checkpoint's own weight plus the shift.

import type { EditableLayer } from '../models/model.js';
import type { LazyTensor, TensorOf } from '../tensor.js';
import type { OpenModel } from './open-model.js';

/** W + S in the checkpoint's layout, `shift` being [keySize, valueSize]. */
export function editedWeight(
  model: Pick<OpenModel, 'read'>,
  { name, orientation, keySize, valueSize }: EditableLayer,
  shift: LazyTensor,
): LazyTensor {
  const shape = orientation === 'in-out' ? [keySize, valueSize] : [valueSize, keySize];
  const read = async () => {
    const weight = await model.read(`${name}.weight`);
    const change = (await shift.read()).data;
    if (orientation === 'in-out') for (let at = 0; at < change.length; at++) weight.data[at]! += change[at]!;
    else addTransposed(weight, change, keySize);
    return weight;
  };
  return { dtype: 'f32', shape, read };
}

/** weight [values, keys] += change [keys, values], in squares that stay in the processor's cache. */
function addTransposed({ shape, data }: TensorOf<'f32'>, change: Float32Array, keys: number): void {
  const [values] = shape as readonly [number, number];
  const side = 64;
  for (let k0 = 0; k0 < keys; k0 += side) {
    for (let v0 = 0; v0 < values; v0 += side) {
      for (let k = k0; k < Math.min(k0 + side, keys); k++) {
        for (let v = v0; v < Math.min(v0 + side, values); v++) data[v * keys + k]! += change[k * values + v]!;
      }
    }
  }
}
