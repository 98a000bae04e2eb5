// Host tensors: a dtype, a shape and a flat row-major typed array; and the 16-bit float conversions.
// Knows no file format, no graph and no runtime.

/** Element types that a checkpoint may hold. Arithmetic is float32; 16-bit floats are storage only. */
export type StorageDType = 'f32' | 'f16' | 'bf16' | 'f64' | 'i64' | 'i32' | 'i16' | 'i8' | 'u8' | 'bool';

/** Element types that values of the tensor language and host tensors have. */
export type DType = 'f32' | 'i64';

/** The array that holds each element type. */
export interface TensorData {
  readonly f32: Float32Array;
  readonly i64: BigInt64Array;
}

/** Row-major; `data.length` is the product of `shape`. A scalar has shape `[]`. */
export type Tensor = { [D in DType]: TensorOf<D> }[DType];

/** A tensor of one dtype in the caller's memory, row-major. */
export interface TensorOf<D extends DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: TensorData[D];
}

/** A float32 tensor that is read when it is needed, because there may be no room for all of them at once. */
export interface LazyTensor {
  readonly dtype: 'f32';
  readonly shape: readonly number[];
  /** A new copy, the caller's. */
  read(): Promise<TensorOf<'f32'>>;
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** A float32 tensor over `data` (not copied). @throws RangeError when the sizes disagree. */
export function f32(data: Float32Array | readonly number[], shape: readonly number[]): TensorOf<'f32'> {
  return checked({ dtype: 'f32', shape, data: data instanceof Float32Array ? data : Float32Array.from(data) });
}

/** An int64 tensor; plain numbers are converted. @throws RangeError when the sizes disagree. */
export function i64(data: BigInt64Array | readonly number[], shape: readonly number[]): TensorOf<'i64'> {
  return checked({
    dtype: 'i64',
    shape,
    data: data instanceof BigInt64Array ? data : BigInt64Array.from(data, BigInt),
  });
}

/** A float32 tensor of zeros. */
export function zeros(shape: readonly number[]): TensorOf<'f32'> {
  return { dtype: 'f32', shape, data: new Float32Array(elementCount(shape)) };
}

/** A float32 scalar, shape `[]`. */
export function scalar(value: number): TensorOf<'f32'> {
  return f32([value], []);
}

function checked<D extends DType>(tensor: TensorOf<D>): TensorOf<D> {
  if (tensor.data.length !== elementCount(tensor.shape)) {
    throw new RangeError(
      `tensor of shape [${tensor.shape}] needs ${elementCount(tensor.shape)} elements, got ${tensor.data.length}`,
    );
  }
  return tensor;
}

/** Bytes of one element as stored in a checkpoint. */
export const storageBytes: { readonly [D in StorageDType]: number } = {
  f64: 8,
  i64: 8,
  f32: 4,
  i32: 4,
  f16: 2,
  bf16: 2,
  i16: 2,
  i8: 1,
  u8: 1,
  bool: 1,
};

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** bfloat16 bits to float32, exact. */
export function bf16ToF32(bits: Uint16Array): Float32Array {
  const out = new Float32Array(bits.length);
  const words = new Uint32Array(out.buffer);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return out;
}

/** float32 to bfloat16 bits, rounding to nearest even; a NaN stays a NaN. */
export function f32ToBf16(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const bits = words[i]!;
    out[i] = (bits & 0x7fffffff) > 0x7f800000 ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  }
  return out;
}

/** float16 bits to float32, exact. */
export function f16ToF32(bits: Uint16Array): Float32Array {
  const out = new Float32Array(bits.length);
  for (let i = 0; i < out.length; i++) out[i] = halfToFloat(bits[i]!);
  return out;
}

/** float32 to float16 bits, rounding to nearest even; beyond 65,504 becomes infinity. */
export function f32ToF16(values: Float32Array): Uint16Array {
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = floatToHalf(values[i]!);
  return out;
}

// 1 sign, 5 exponent (bias 15), 10 mantissa bits; exponent 0 is subnormal: mantissa * 2^-24.
function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

function floatToHalf(value: number): number {
  float[0] = value;
  const bits = word[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  // Subnormal halves: adding 0.5 aligns the mantissa so that the float adder does the rounding (ulp of 0.5 is 2^-24).
  if (magnitude < 0x38800000) return sign | roundToSubnormal(Math.abs(value));
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

function roundToSubnormal(magnitude: number): number {
  float[0] = magnitude + 0.5;
  return word[0]! - 0x3f000000;
}
