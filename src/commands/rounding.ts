// What an edit loses when its weights are stored in 16 bits. Knows no model.

import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16, type StorageDType, type TensorOf } from '../tensor.js';

export interface Rounding {
  /** The 16-bit types that edited weights are stored in. */
  readonly dtypes: readonly string[];
  /** Norm of what rounding changes, as a share of the norm of the whole shift: 0.01 loses a hundredth. */
  readonly shareOfShift: number;
}

const rounded: Readonly<Partial<Record<StorageDType, (values: Float32Array) => Float32Array>>> = {
  f16: (values) => f16ToF32(f32ToF16(values)),
  bf16: (values) => bf16ToF32(f32ToBf16(values)),
};

/** Undefined where all edited weights are stored as they were computed. */
export function roundingOf(
  edited: readonly { readonly values: TensorOf<'f32'>; readonly dtype: StorageDType }[],
  shifts: Iterable<TensorOf<'f32'>>,
): Rounding | undefined {
  const dtypes = new Set<string>();
  let lost = 0;
  for (const { values, dtype } of edited) {
    const round = rounded[dtype];
    if (!round) continue;
    dtypes.add(dtype);
    lost += squaredDistance(values.data, round(values.data));
  }
  if (dtypes.size === 0) return undefined;
  let whole = 0;
  for (const { data } of shifts) whole += squaredDistance(data);
  return { dtypes: [...dtypes], shareOfShift: whole === 0 ? 0 : Math.sqrt(lost / whole) };
}

/** To the origin without a second point. */
function squaredDistance(a: Float32Array, b?: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at]! - (b?.[at] ?? 0)) ** 2;
  return sum;
}
