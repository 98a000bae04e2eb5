// What an edit loses when its weights are stored in 16 bits. Knows no model.

import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16, type LazyTensor, type StorageDType } from '../tensor.js';

/** What storing an edit in 16 bits changes. */
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

/** Undefined where all edited weights are stored as they were computed. Reads one tensor at a time. */
export async function roundingOf(
  edited: readonly { readonly values: LazyTensor; readonly dtype: StorageDType }[],
  shifts: Iterable<LazyTensor>,
): Promise<Rounding | undefined> {
  const dtypes = new Set<string>();
  let lost = 0;
  for (const { values, dtype } of edited) {
    const round = rounded[dtype];
    if (!round) continue;
    dtypes.add(dtype);
    const { data } = await values.read();
    lost += squaredDistance(data, round(data));
  }
  if (dtypes.size === 0) return undefined;
  let whole = 0;
  for (const shift of shifts) whole += squaredDistance((await shift.read()).data);
  return { dtypes: [...dtypes], shareOfShift: whole === 0 ? 0 : Math.sqrt(lost / whole) };
}

/** To the origin without a second point. */
function squaredDistance(a: Float32Array, b?: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at]! - (b?.[at] ?? 0)) ** 2;
  return sum;
}
