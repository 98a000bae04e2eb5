// Writing safetensors: round trips of all element types, the bytes against a reader made by hand, failing disks.

import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  copiedSource,
  float64Source,
  readSafetensorsHeader,
  type TensorSource,
  tensorSource,
  writeSafetensors,
} from '../../src/checkpoint/safetensors.js';
import { readFloat64, readTensor, tensorBytes } from '../../src/checkpoint/stored-tensor.js';
import { elementCount, f32, i64, type StorageDType, storageBytes } from '../../src/tensor.js';
import { asOrdinaryUser, fillDiskAtWrite, mountTinyDisk, readOnlyFolder } from './failing-disk.js';
import { killHalfway } from './kill-writer.js';
import { listTensors, parseRawFile } from './raw-safetensors.js';
import { goldenModelFiles, temporaryPaths } from './temporary-folder.js';

const newPath = temporaryPaths();
const dtypes = Object.keys(storageBytes) as StorageDType[];

/** Any tensors: all element types, scalars, empty ones, names of any characters. */
const sources = fc
  .uniqueArray(fc.tuple(fc.string({ unit: 'binary', maxLength: 12 }), fc.constantFrom(...dtypes), shapes()), {
    selector: ([name]) => name,
    maxLength: 6,
  })
  .filter((list) => list.every(([name]) => name !== '__metadata__'))
  .chain((list) => fc.tuple(...list.map(([name, dtype, shape]) => withBytes(name, dtype, shape))));

function shapes() {
  return fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 });
}

function withBytes(name: string, dtype: StorageDType, shape: number[]) {
  const length = elementCount(shape) * storageBytes[dtype];
  const data = fc.uint8Array({ minLength: length, maxLength: length });
  return fc.tuple(data, fc.nat(length)).map(([bytes, cut]) => ({ name, dtype, shape, bytes, cut }));
}

const metadata = fc.dictionary(fc.string({ unit: 'binary', maxLength: 8 }), fc.string({ maxLength: 20 }), {
  maxKeys: 3,
});

describe('round trips', () => {
  test('of the bytes of any tensors, given in pieces', async () => {
    await fc.assert(
      fc.asyncProperty(sources, metadata, async (tensors, meta) => {
        const path = newPath();
        const pieces = tensors.map(({ bytes, cut, ...rest }): TensorSource => {
          return { ...rest, bytes: () => [bytes.subarray(0, cut), bytes.subarray(cut)] };
        });
        await writeSafetensors(path, pieces, meta);
        const file = await readSafetensorsHeader(path);
        expect({ ...file.metadata }).toEqual({ ...meta });
        expect(file.tensors.size).toBe(tensors.length);
        for (const { name, dtype, shape, bytes } of tensors) {
          const entry = file.tensors.get(name)!;
          expect(entry).toMatchObject({ name, dtype, shape, bytes: bytes.byteLength });
          const stored = readFileSync(path).subarray(entry.offset, entry.offset + entry.bytes);
          expect(Buffer.compare(stored, bytes)).toBe(0);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('of float32 values through float32 and float64 exactly, through 16 bits within half a unit', async () => {
    const values = fc.float({ noNaN: true, min: -65000, max: 65000 });
    await fc.assert(
      fc.asyncProperty(fc.array(values, { minLength: 1 }), async (list) => {
        const tensor = f32(list, [list.length]);
        const path = newPath();
        const floats = ['f32', 'f64', 'f16', 'bf16'] as const;
        await writeSafetensors(
          path,
          floats.map((dtype) => tensorSource(dtype, tensor, dtype)),
        );
        const { tensors } = await readSafetensorsHeader(path);
        const back = async (dtype: string) => (await readTensor(tensors.get(dtype)!)).data as Float32Array;
        expect(await back('f32')).toEqual(tensor.data);
        expect(await back('f64')).toEqual(tensor.data);
        const [half, brain] = [await back('f16'), await back('bf16')];
        tensor.data.forEach((value, i) => {
          expect(Math.abs(half[i]! - value)).toBeLessThanOrEqual(Math.max(Math.abs(value) * 2 ** -11, 2 ** -25));
          expect(Math.abs(brain[i]! - value)).toBeLessThanOrEqual(Math.max(Math.abs(value) * 2 ** -8, 2 ** -133));
        });
      }),
      { numRuns: 60 },
    );
  });

  test('of int64 and of doubles', async () => {
    const path = newPath();
    const doubles = Float64Array.of(Math.PI, -1e-300, Number.NaN);
    const longs = i64(BigInt64Array.of(2n ** 63n - 1n, -1n), [2, 1]);
    await writeSafetensors(path, [tensorSource('long', longs), float64Source('double', doubles, [3])]);
    const { tensors } = await readSafetensorsHeader(path);
    expect(await readTensor(tensors.get('long')!)).toEqual(longs);
    expect(await readFloat64(tensors.get('double')!)).toEqual(doubles);
  });

  test('of a view into a larger buffer', async () => {
    const path = newPath();
    await writeSafetensors(path, [tensorSource('t', f32(Float32Array.of(9, 1, 2, 9).subarray(1, 3), [2]))]);
    expect([...parseRawFile(path).tensors.get('t')!.bytes]).toEqual([0, 0, 128, 63, 0, 0, 0, 64]);
  });
});

describe('the bytes of a file', () => {
  const some = [
    tensorSource('b', f32([1, 2], [2])),
    tensorSource('10', f32([3], [1])),
    tensorSource('a', f32([], [0])),
  ];

  test('data starts at a multiple of 8, tensors keep their order, the same input gives the same file', async () => {
    const [one, two] = [newPath(), newPath()];
    await writeSafetensors(one, some, { format: 'pt' });
    await writeSafetensors(two, some, { format: 'pt' });
    expect(readFileSync(one).equals(readFileSync(two))).toBe(true);
    expect(parseRawFile(one).dataStart % 8).toBe(0);
    expect(readFileSync(one, 'latin1').slice(8)).toMatch(
      /^\{"__metadata__":\{"format":"pt"\},"b":\{"dtype":"F32","shape":\[2\],"data_offsets":\[0,8\]\},"10":.*"a":.*\} *\0/s,
    );
  });

  test.each(goldenModelFiles().map((path) => [path.split('/').slice(-2).join('/'), path]))(
    'copied tensor by tensor: %s',
    async (_, path) => {
      const original = await readSafetensorsHeader(path);
      const copy = newPath();
      await writeSafetensors(copy, [...original.tensors.values()].map(copiedSource), original.metadata);
      const [before, after] = [parseRawFile(path), parseRawFile(copy)];
      expect(readFileSync(copy).subarray(after.dataStart).equals(readFileSync(path).subarray(before.dataStart))).toBe(
        true,
      );
      expect(after.metadata).toEqual(before.metadata);
      expect(listTensors(after)).toEqual(listTensors(before));
    },
  );

  test('a tensor larger than a piece is copied in pieces of 4 MiB', async () => {
    const path = newPath();
    const big = f32(
      Float32Array.from({ length: 2_500_000 }, (_, i) => i),
      [2_500_000],
    );
    await writeSafetensors(path, [tensorSource('odd', f32([0], [1])), tensorSource('big', big)]);
    const { tensors } = await readSafetensorsHeader(path);
    const sizes: number[] = [];
    for await (const piece of tensorBytes(tensors.get('big')!)) sizes.push(piece.byteLength);
    expect(sizes).toEqual([2 ** 22, 2 ** 22, 10_000_000 - 2 ** 23]);
    const copy = newPath();
    await writeSafetensors(copy, [copiedSource(tensors.get('big')!)]);
    const { data } = await readTensor((await readSafetensorsHeader(copy)).tensors.get('big')!);
    expect(Buffer.from(data.buffer).equals(Buffer.from(big.data.buffer))).toBe(true);
  });

  test('a file may be rewritten from itself', async () => {
    const path = newPath();
    await writeSafetensors(path, some, { step: '1' });
    const { tensors } = await readSafetensorsHeader(path);
    await writeSafetensors(path, [...tensors.values()].map(copiedSource), { step: '2' });
    const file = await readSafetensorsHeader(path);
    expect(file.metadata).toEqual({ step: '2' });
    expect((await readTensor(file.tensors.get('b')!)).data).toEqual(Float32Array.of(1, 2));
  });
});

describe('what cannot be written leaves nothing behind', () => {
  const tensor = (length = 1) => tensorSource('t', f32(new Float32Array(length), [length]));
  const folder = () => {
    const path = newPath('folder');
    mkdirSync(path);
    return path;
  };

  test('two tensors of one name, the reserved name', async () => {
    const dir = folder();
    await expect(writeSafetensors(join(dir, 'x'), [tensor(), tensor()])).rejects.toThrow(/two tensors named 't'/);
    const reserved = { ...tensor(), name: '__metadata__' };
    await expect(writeSafetensors(join(dir, 'x'), [reserved])).rejects.toThrow(/reserved name/);
    expect(readdirSync(dir)).toEqual([]);
  });

  test('more or fewer bytes than the shape needs', async () => {
    const dir = folder();
    for (const length of [3, 5]) {
      const wrong: TensorSource = { ...tensor(), bytes: () => [new Uint8Array(length)] };
      await expect(writeSafetensors(join(dir, 'x'), [wrong])).rejects.toThrow(`needs 4 bytes, got ${length}`);
    }
    expect(readdirSync(dir)).toEqual([]);
  });

  test('types that values cannot be stored as', async () => {
    const dir = folder();
    const int = tensorSource('n', i64([1], [1]), 'f32');
    await expect(writeSafetensors(join(dir, 'x'), [int])).rejects.toThrow(/'n': int64 cannot be stored as f32/);
    const float = tensorSource('x', f32([1], [1]), 'i32');
    await expect(writeSafetensors(join(dir, 'x'), [float])).rejects.toThrow(/'x': float32 cannot be stored as i32/);
    expect(readdirSync(dir)).toEqual([]);
  });

  test('a source file that went away', async () => {
    const dir = folder();
    const lost = copiedSource({ name: 't', dtype: 'f32', shape: [1], path: join(dir, 'lost'), offset: 0, bytes: 4 });
    await expect(writeSafetensors(join(dir, 'x'), [lost])).rejects.toThrow(`${join(dir, 'lost')}: reading failed`);
    expect(readdirSync(dir)).toEqual([]);
  });

  test('a folder that is missing', async () => {
    const path = join(newPath('absent'), 'x');
    await expect(writeSafetensors(path, [tensor()])).rejects.toMatchObject({ code: 'not-found' });
  });

  test.skipIf(process.platform === 'win32')('a folder without permission', async () => {
    const dir = readOnlyFolder(newPath('read-only'));
    const error = await asOrdinaryUser(() => writeSafetensors(join(dir, 'x'), [tensor()]).catch((e) => e));
    expect(error).toMatchObject({ name: 'MalmenError', code: 'bad-input' });
    expect(error.message).toMatch(/x: writing failed: permission denied/);
    expect(readdirSync(dir)).toEqual([]);
  });

  test.each([1, 2, 3])('a disk that is full at write %i; the file that was there stays', async (call) => {
    const dir = folder();
    writeFileSync(join(dir, 'x'), 'before');
    const disk = await fillDiskAtWrite(call);
    const error = await writeSafetensors(join(dir, 'x'), [tensor(), { ...tensor(), name: 'u' }]).catch((e) => e);
    disk.restore();
    expect(error).toMatchObject({ name: 'MalmenError', code: 'no-space' });
    expect(error.message).toContain(join(dir, 'x'));
    expect(readdirSync(dir)).toEqual(['x']);
    expect(readFileSync(join(dir, 'x'), 'utf8')).toBe('before');
  });

  test('a real disk that is full', async ({ skip }) => {
    const dir = newPath('disk');
    const disk = mountTinyDisk(dir);
    if (!disk) return skip('mounting a small file system is not allowed here');
    try {
      await writeSafetensors(join(dir, 'small'), [tensor(100)]);
      const { size } = statSync(join(dir, 'small'));
      await expect(writeSafetensors(join(dir, 'large'), [tensor(50_000)])).rejects.toMatchObject({ code: 'no-space' });
      expect(readdirSync(dir)).toEqual(['small']);
      expect(statSync(join(dir, 'small')).size).toBe(size);
    } finally {
      disk.unmount();
    }
  });

  test('a process killed halfway leaves the old file and a temporary name, which the next one removes', async () => {
    const dir = folder();
    writeFileSync(join(dir, 'x'), 'before');
    await killHalfway('file', join(dir, 'x'));
    expect(readFileSync(join(dir, 'x'), 'utf8')).toBe('before');
    const others = readdirSync(dir).filter((name) => name !== 'x');
    expect(others).toEqual([expect.stringMatching(/^\.x\..*\.tmp$/)]);
    await writeSafetensors(join(dir, 'x'), [tensor(1)]);
    expect(readdirSync(dir)).toEqual(['x']);
  });
});
