// Both layouts of torch.save, written by hand: dtypes, strides, offsets, views, tied tensors, metadata that is no tensor.

import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openWeightFile } from '../../../src/checkpoint/open-weight-file.js';
import { readTensor, tensorBytes } from '../../../src/checkpoint/stored-tensor.js';
import { temporaryPaths } from '../temporary-folder.js';
import { call, dict, global, int, list, text, tuple } from './pickle-writer.js';
import { archiveEntries, archiveOf, floats, legacyOf, type RawCheckpoint, rows, statePickle } from './torch-writer.js';
import { zipOf } from './zip-writer.js';

const newPath = temporaryPaths();

function saved(content: Uint8Array, name = 'x.bin'): string {
  const path = newPath(name);
  writeFileSync(path, content);
  return path;
}

const layouts = [
  ['zip', archiveOf],
  ['older', legacyOf],
] as const;

const values = async (file: string, name: string) => {
  const { tensors } = await openWeightFile(file);
  return [...(await readTensor(tensors.get(name)!)).data];
};

describe.each(layouts)('%s layout', (_, write) => {
  test('every dtype', async () => {
    const types = {
      Double: ['f64', 8],
      Float: ['f32', 4],
      Half: ['f16', 2],
      BFloat16: ['bf16', 2],
      Long: ['i64', 8],
      Int: ['i32', 4],
      Short: ['i16', 2],
      Char: ['i8', 1],
      Byte: ['u8', 1],
      Bool: ['bool', 1],
    } as const;
    const storages = Object.entries(types).map(([type, [, width]]) => {
      const bytes = Uint8Array.from({ length: 6 * width }, (_, at) => at % 2);
      return [type, { type: `${type}Storage`, elements: 6, bytes }] as const;
    });
    const tensors = storages.map(([type]) => [type, { storage: type, shape: [2, 3], strides: [3, 1] }] as const);
    const file = saved(write({ storages: Object.fromEntries(storages), tensors: Object.fromEntries(tensors) }));
    const opened = await openWeightFile(file);
    for (const [type, { bytes }] of storages) {
      const entry = opened.tensors.get(type)!;
      expect(entry).toMatchObject({ dtype: types[type as keyof typeof types][0], shape: [2, 3] });
      const pieces: number[] = [];
      for await (const piece of tensorBytes(entry)) pieces.push(...piece);
      expect(pieces).toEqual([...bytes]);
    }
  });

  test('offsets, strides, one storage for several tensors, scalars and nothing', async () => {
    const file = saved(
      write({
        storages: { '0': floats(0, 1, 2, 3, 4, 5, 6, 7), '1': floats() },
        tensors: {
          part: { storage: '0', offset: 2, shape: [2, 2], strides: [2, 1] },
          turned: { storage: '0', offset: 1, shape: [3, 2], strides: [1, 3] },
          column: { storage: '0', offset: 3, shape: [2, 1], strides: [4, 1] },
          row: { storage: '0', shape: [1, 8], strides: [77, 1] },
          alias: { storage: '0', offset: 2, shape: [2, 2], strides: [2, 1] },
          scalar: { storage: '0', offset: 7, shape: [], strides: [] },
          nothing: { storage: '1', shape: [0, 3], strides: [3, 1] },
        },
      }),
    );
    expect(await values(file, 'part')).toEqual([2, 3, 4, 5]);
    expect(await values(file, 'turned')).toEqual([1, 4, 2, 5, 3, 6]);
    expect(await values(file, 'column')).toEqual([3, 7]);
    expect(await values(file, 'row')).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(await values(file, 'scalar')).toEqual([7]);
    expect(await values(file, 'nothing')).toEqual([]);
    const { tensors } = await openWeightFile(file);
    expect(tensors.get('alias')!.offset).toBe(tensors.get('part')!.offset);
    expect([...tensors].filter(([, { strides }]) => strides).map(([name]) => name)).toEqual(['turned', 'column']);
  });

  test('any strided view reads as a loop over it does', async () => {
    const view = fc.tuple(fc.array(fc.nat(4), { maxLength: 4 }), fc.nat(5)).chain(([shape, offset]) =>
      fc.record({
        shape: fc.constant(shape),
        offset: fc.constant(offset),
        strides: fc.array(fc.nat(5), { minLength: shape.length, maxLength: shape.length }),
      }),
    );
    await fc.assert(
      fc.asyncProperty(view, async ({ shape, offset, strides }) => {
        const expected: number[] = [];
        const visit = (axis: number, at: number): void => {
          if (axis === shape.length) expected.push(at);
          else for (let i = 0; i < shape[axis]!; i++) visit(axis + 1, at + i * strides[axis]!);
        };
        visit(0, offset);
        const elements = Math.max(expected.length, ...expected.map((at) => at + 1), 1);
        const storages = { s: floats(...Array.from({ length: elements }, (_, at) => at)) };
        const file = saved(write({ storages, tensors: { t: { storage: 's', offset, shape, strides } } }));
        expect(await values(file, 't')).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  test('an ordered dictionary with version numbers, and parameters', async () => {
    const checkpoint: RawCheckpoint = { storages: { '0': floats(5, 6) }, tensors: {} };
    const isLegacy = write === legacyOf;
    const tensor = statePickle({ ...checkpoint, tensors: { w: { storage: '0', shape: [2], strides: [1] } } }, isLegacy);
    // The value of the only item: what is between its name and the end of the dictionary.
    const rebuilt = tensor.subarray(2 + text('w').length, -1);
    const parameter = call(global('torch._utils', '_rebuild_parameter'), rebuilt, int(1), call(ordered));
    const state = Buffer.concat([
      call(ordered, list(tuple(text('w'), parameter))),
      dict({ _metadata: call(ordered) }),
      Buffer.from('b'),
    ]);
    expect(await values(saved(write(checkpoint, state)), 'w')).toEqual([5, 6]);
  });
});

const ordered = global('collections', 'OrderedDict');

const two: RawCheckpoint = {
  storages: { '0': floats(1, 2, 3, 4), '1': floats(5) },
  tensors: {
    a: { storage: '0', shape: [2, 2], strides: rows([2, 2]) },
    b: { storage: '1', shape: [1], strides: [1] },
  },
};

test.each([
  ['sizes in the headers', { descriptors: false }],
  ['zip64 records', { zip64: true }],
  ['zip64 records without descriptors', { zip64: true, descriptors: false }],
])('an archive with %s', async (_, options) => {
  expect(await values(saved(zipOf(archiveEntries(two), options)), 'a')).toEqual([1, 2, 3, 4]);
});

test('an older file whose storages are views of others', async () => {
  const tensors = {
    half: { storage: '0', offset: 1, shape: [2], strides: [1], view: [1, 3] },
    whole: { storage: '0', shape: [4], strides: [1] },
  } as const;
  const file = saved(legacyOf({ storages: two.storages, tensors: { ...tensors, b: two.tensors.b! } }));
  expect(await values(file, 'half')).toEqual([3, 4]);
  expect(await values(file, 'whole')).toEqual([1, 2, 3, 4]);
});

test('pickles that do not fit into the first piece that is read', async () => {
  const names = Array.from({ length: 60_000 }, (_, at) => `layer.${String(at).padStart(30, '0')}`);
  const tensors = Object.fromEntries(names.map((name) => [name, { storage: '1', shape: [1], strides: [1] }]));
  const file = saved(legacyOf({ storages: { '1': two.storages['1']! }, tensors }));
  expect(await values(file, names.at(-1)!)).toEqual([5]);
});

test('the name of a file does not matter where its content is clear', async () => {
  expect(await values(saved(archiveOf(two), 'weights'), 'b')).toEqual([5]);
  expect(await values(saved(legacyOf(two), '0a1b2c'), 'b')).toEqual([5]);
});
