// What torch.save puts into a pickle: storages, tensors over them, and the short list of names that rebuild both.
// Knows no file.

import { elementCount, type StorageDType, storageBytes } from '../../tensor.js';
import { type PickleGlobal, PickleObject, type PickleValue } from './unpickle.js';

/** A run of elements in the file, found by its key. */
export class TorchStorage extends PickleObject {
  readonly kind = 'storage';

  constructor(
    readonly key: string,
    readonly dtype: StorageDType,
    /** Elements of the whole storage, even where this is a view of a part. */
    readonly elements: number,
    /** First element of the view, 0 for the whole. */
    readonly start: number = 0,
    /** Elements of the view. */
    readonly viewed: number = elements,
  ) {
    super();
  }
}

/** A tensor as strides over a storage, in elements. */
export class TorchTensor extends PickleObject {
  readonly kind = 'tensor';

  constructor(
    readonly storage: TorchStorage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {
    super();
  }

  get dtype(): StorageDType {
    return this.storage.dtype;
  }
}

const storageTypes: ReadonlyMap<string, StorageDType> = new Map([
  ['torch.DoubleStorage', 'f64'],
  ['torch.FloatStorage', 'f32'],
  ['torch.HalfStorage', 'f16'],
  ['torch.BFloat16Storage', 'bf16'],
  ['torch.LongStorage', 'i64'],
  ['torch.IntStorage', 'i32'],
  ['torch.ShortStorage', 'i16'],
  ['torch.CharStorage', 'i8'],
  ['torch.ByteStorage', 'u8'],
  ['torch.BoolStorage', 'bool'],
]);

const functions: Readonly<Record<string, (args: readonly PickleValue[]) => PickleValue>> = {
  'collections.OrderedDict': ([pairs]) => orderedDict(pairs),
  'torch._utils._rebuild_tensor': (args) => rebuildTensor(args),
  'torch._utils._rebuild_tensor_v2': (args) => rebuildTensor(args),
  'torch._utils._rebuild_parameter': ([tensor]) => {
    if (!(tensor instanceof TorchTensor)) throw new Error('a parameter that is no tensor');
    return tensor;
  },
  'torch.Size': ([sizes]) => Object.freeze(numbers(sizes, 'a size')),
};

/** All that a pickle of tensors may name. Anything else is refused by its name. */
export const torchGlobals: ReadonlyMap<string, PickleGlobal> = new Map<string, PickleGlobal>([
  ...[...storageTypes.keys()].map((name) => [name, { name }] as const),
  ...Object.entries(functions).map(([name, call]) => [name, { name, call }] as const),
]);

function orderedDict(pairs: PickleValue | undefined): PickleValue {
  const dict = new Map<string | number, PickleValue>();
  if (pairs === undefined) return dict;
  if (!Array.isArray(pairs)) throw new Error('an ordered dictionary of something that is no list');
  for (const pair of pairs as readonly PickleValue[]) {
    const [key, value] = Array.isArray(pair) ? (pair as readonly PickleValue[]) : [];
    if ((typeof key !== 'string' && typeof key !== 'number') || value === undefined) {
      throw new Error('an ordered dictionary with an entry that is no key and value');
    }
    dict.set(key, value);
  }
  return dict;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function numbers(value: PickleValue | undefined, what: string): number[] {
  if (Array.isArray(value) && value.every(isCount)) return [...value];
  throw new Error(`${what} that is no list of whole numbers`);
}

/** `(storage, offset, size, stride, ...)`. What follows (gradient flag, hooks) changes no value. */
function rebuildTensor([storage, offset, size, stride]: readonly PickleValue[]): TorchTensor {
  if (!(storage instanceof TorchStorage)) throw new Error('a tensor without a storage');
  if (!isCount(offset)) throw new Error('a tensor whose offset is no whole number');
  const shape = numbers(size, 'a shape');
  const strides = numbers(stride, 'strides');
  if (strides.length !== shape.length) throw new Error(`${shape.length} sizes with ${strides.length} strides`);
  const tensor = new TorchTensor(storage, offset, shape, strides);
  assertInside(tensor);
  return tensor;
}

function assertInside({ storage, offset, shape, strides }: TorchTensor): void {
  const count = elementCount(shape);
  const reach = count === 0 ? 0 : offset + spanElements(shape, strides);
  if (reach > storage.viewed) {
    throw new Error(`a tensor of shape [${shape}] reaches element ${reach} of a storage of ${storage.viewed}`);
  }
  // Strides of 0 could make a tensor of any size out of one number.
  if (count > storage.viewed) throw new Error(`a tensor of shape [${shape}] over ${storage.viewed} elements`);
}

/** Elements from the first of a tensor to the last one, both counted; 0 for none. */
function spanElements(shape: readonly number[], strides: readonly number[]): number {
  if (shape.includes(0)) return 0;
  return shape.reduce((span, size, axis) => span + (size - 1) * strides[axis]!, 1);
}

/** `('storage', type, key, device, elements[, view])`, view `(key, start, elements)` of older versions. */
export function torchStorage(id: PickleValue): TorchStorage {
  if (!Array.isArray(id) || id[0] !== 'storage') throw new Error('a reference to something that is no storage');
  const [, type, key, , elements, view] = id as readonly PickleValue[];
  const dtype = storageTypes.get((type as PickleGlobal | undefined)?.name ?? '');
  if (dtype === undefined || typeof key !== 'string' || !isCount(elements))
    throw new Error('a storage without type, key or size');
  if (!Number.isSafeInteger(elements * storageBytes[dtype])) throw new Error(`a storage of ${elements} elements`);
  if (view === undefined || view === null) return new TorchStorage(key, dtype, elements);
  const [, start, viewed] = Array.isArray(view) ? (view as readonly PickleValue[]) : [];
  if (!isCount(start) || !isCount(viewed) || start + viewed > elements) {
    throw new Error('a view of a storage that reaches out of it');
  }
  return new TorchStorage(key, dtype, elements, start, viewed);
}
