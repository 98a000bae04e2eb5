// torch.save files made by hand, in both layouts: the independent truth of these tests.

import { call, dict, global, int, list, no, none, persistent, pickle, text, tuple, yes } from './pickle-writer.js';
import { type RawEntry, zipOf } from './zip-writer.js';

export interface RawStorage {
  /** Name of the class in the module `torch`. */
  readonly type: string;
  readonly elements: number;
  readonly bytes: Uint8Array;
}

export interface RawTensor {
  readonly storage: string;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  /** `[start, elements]` of an older file's view of its storage. */
  readonly view?: readonly [number, number];
}

export interface RawCheckpoint {
  readonly storages: Readonly<Record<string, RawStorage>>;
  readonly tensors: Readonly<Record<string, RawTensor>>;
}

export const floats = (...values: number[]): RawStorage => ({
  type: 'FloatStorage',
  elements: values.length,
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});

/** Strides of rows that follow each other. */
export const rows = (shape: readonly number[]) =>
  shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));

function tensorPickle({ storages }: RawCheckpoint, tensor: RawTensor, legacy = false): Buffer {
  const { storage, offset = 0, shape, strides, view } = tensor;
  const { type, elements } = storages[storage]!;
  const ints = (values: readonly number[]) => tuple(...values.map(int));
  const seen = view ? tuple(text('view'), int(view[0]), int(view[1])) : none;
  const id = [text('storage'), global('torch', type), text(storage), text('cpu'), int(elements)];
  const stored = persistent(tuple(...id, ...(legacy ? [seen] : [])));
  const hooks = call(global('collections', 'OrderedDict'));
  return call(global('torch._utils', '_rebuild_tensor_v2'), stored, int(offset), ints(shape), ints(strides), no, hooks);
}

export function statePickle(checkpoint: RawCheckpoint, legacy = false): Buffer {
  const tensors = Object.entries(checkpoint.tensors).map(([name, tensor]) => {
    return [name, tensorPickle(checkpoint, tensor, legacy)] as const;
  });
  return dict(Object.fromEntries(tensors));
}

/** Entries of an archive, in torch's order. `value` replaces the dictionary of tensors. */
export function archiveEntries(checkpoint: RawCheckpoint, value: Buffer = statePickle(checkpoint)): RawEntry[] {
  return [
    { name: 'archive/data.pkl', data: pickle(value) },
    { name: 'archive/byteorder', data: Buffer.from('little') },
    ...Object.entries(checkpoint.storages).map(([key, { bytes }]) => ({ name: `archive/data/${key}`, data: bytes })),
    { name: 'archive/version', data: Buffer.from('3\n') },
  ];
}

export const archiveOf = (checkpoint: RawCheckpoint, value?: Buffer) => zipOf(archiveEntries(checkpoint, value));

export function legacyOf(checkpoint: RawCheckpoint, value: Buffer = statePickle(checkpoint, true)): Buffer {
  const magic = Buffer.from('8a0a6cfc9c46f9206aa85019', 'hex');
  const system = dict({ protocol_version: int(1001), little_endian: yes });
  const keys = Object.keys(checkpoint.storages);
  const storages = Object.values(checkpoint.storages).flatMap(({ elements, bytes }) => {
    const count = Buffer.alloc(8);
    count.writeBigInt64LE(BigInt(elements));
    return [count, Buffer.from(bytes)];
  });
  const pickles = [magic, int(1001), system, value, list(...keys.map(text))].map(pickle);
  return Buffer.concat([...pickles, ...storages]);
}
