// The content hash against a plain computation over whole files; the search for NaN and infinity at every position.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { firstNotFinite } from '../../src/checkpoint/finite.js';
import { openModelFolder } from '../../src/checkpoint/model-folder.js';
import { readSafetensorsHeader, tensorSource, writeSafetensors } from '../../src/checkpoint/safetensors.js';
import type { TensorEntry } from '../../src/checkpoint/stored-tensor.js';
import { assertFinite, contentHash, verifyWeights } from '../../src/checkpoint/verify-weights.js';
import { MalmenError } from '../../src/errors.js';
import { f32, type StorageDType } from '../../src/tensor.js';
import { parseRawFile } from './raw-safetensors.js';
import { goldenModel, temporaryPaths } from './temporary-folder.js';

const newPath = temporaryPaths();

/** By the description of the hash, from files read whole. */
function plainHash(paths: readonly string[]): string {
  const tensors = paths.flatMap((path) => [...parseRawFile(path).tensors]);
  const hash = createHash('sha256');
  for (const [name, { dtype, shape, bytes }] of tensors.sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${JSON.stringify([name, dtype.toLowerCase(), shape])}\n`).update(bytes);
  }
  return hash.digest('hex');
}

async function weights(sources: readonly ReturnType<typeof tensorSource>[], metadata = {}) {
  const path = newPath('model.safetensors');
  await writeSafetensors(path, sources, metadata);
  return readSafetensorsHeader(path);
}

describe('content hash', () => {
  test.each(['gpt2', 'bert_fever', 'llama3', 't5_v10'])('%s', async (name) => {
    const model = await openModelFolder(goldenModel(name));
    const truth = plainHash([...model.files.keys()].map((file) => join(model.dir, file)));
    expect(await verifyWeights(model)).toBe(truth);
    expect(await contentHash(model)).toBe(truth);
  });

  const a = tensorSource('a', f32([1, 2], [2]));
  const b = tensorSource('b', f32([3], [1]));

  test('does not depend on order, metadata or shards', async () => {
    const hash = await contentHash(await weights([a, b]));
    expect(await contentHash(await weights([b, a], { format: 'pt' }))).toBe(hash);
    const shards = [await weights([b]), await weights([a])];
    expect(await contentHash({ tensors: new Map(shards.flatMap(({ tensors }) => [...tensors])) })).toBe(hash);
  });

  test('depends on name, dtype, shape and every byte, of empty tensors too', async () => {
    const variants = [
      [a, b],
      [a],
      [tensorSource('A', f32([1, 2], [2])), b],
      [tensorSource('a', f32([1, 2], [1, 2])), b],
      [tensorSource('a', f32([1, -2], [2])), b],
      [{ ...a, dtype: 'i32' as const }, b],
      [a, b, tensorSource('c', f32([], [0]))],
      [a, b, tensorSource('c', f32([], [0, 3]))],
      [tensorSource('a', f32([1], [1])), tensorSource('b', f32([2, 3], [2]))],
    ];
    const hashes = await Promise.all(variants.map(async (sources) => contentHash(await weights(sources))));
    expect(new Set(hashes).size).toBe(variants.length);
  });
});

describe('progress, stopping and the event loop', () => {
  const big = async () =>
    weights([tensorSource('a', f32(new Float32Array(3_000_000), [3_000_000])), tensorSource('b', f32([1], [1]))]);

  test('counts up to all bytes', async () => {
    const seen: number[] = [];
    await contentHash(await big(), { onProgress: (done, total) => seen.push(done / total) });
    expect(seen).toEqual([...seen].sort((x, y) => x - y));
    expect(seen.length).toBe(4);
    expect(seen.at(-1)).toBe(1);
  });

  test('stops between pieces with the reason of the signal', async () => {
    const controller = new AbortController();
    const stopped = new MalmenError('interrupted', 'stopped');
    const onProgress = () => controller.abort(stopped);
    const { signal } = controller;
    await expect(contentHash(await big(), { signal, onProgress })).rejects.toBe(stopped);
  });

  test('other work runs between pieces', async () => {
    let turns = 0;
    let running = true;
    const other = (async () => {
      for (; running; turns++) await nextTurn();
    })();
    await contentHash(await big());
    running = false;
    await other;
    expect(turns).toBeGreaterThan(3);
  });
});

describe('numbers that are not finite', () => {
  const views = { f32: Float32Array, f64: Float64Array, f16: Uint16Array, bf16: Uint16Array } as const;
  const asBytes = (array: ArrayBufferView) =>
    new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
  const bad = {
    f32: [Number.NaN, Infinity, -Infinity],
    f64: [Number.NaN, Infinity, -Infinity],
    f16: [0x7c00, 0xfc00, 0x7c01, 0x7e00, 0xffff],
    bf16: [0x7f80, 0xff80, 0x7f81, 0x7fc0, 0xffff],
  } as const;
  const good = {
    f32: [0, -0, 3.4028234663852886e38, -1e-45, 1],
    f64: [0, -0, Number.MAX_VALUE, -Number.MIN_VALUE, 1e39],
    f16: [0, 0x8000, 0x7bff, 0x0001, 0xfbff],
    bf16: [0, 0x8000, 0x7f7f, 0x0001, 0xff7f],
  } as const;

  test.each(['f32', 'f64', 'f16', 'bf16'] as const)('%s: the first is found wherever it is', (dtype) => {
    const finite = fc.array(fc.constantFrom(...good[dtype]), { maxLength: 40 });
    fc.assert(
      fc.property(finite, fc.constantFrom(...bad[dtype]), finite, (before, value, after) => {
        expect(firstNotFinite(asBytes(views[dtype].from(before)), dtype)).toBe(-1);
        const all = views[dtype].from([...before, value, ...after, value]);
        expect(firstNotFinite(asBytes(all), dtype)).toBe(before.length);
      }),
    );
  });

  test('16-bit patterns: not finite is what reading gives as NaN or infinity', async () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    for (const [dtype, exponent] of [
      ['f16', 0x7c00],
      ['bf16', 0x7f80],
    ] as const) {
      for (const bits of all) {
        const expected = (bits & exponent) === exponent ? 0 : -1;
        if (firstNotFinite(asBytes(Uint16Array.of(bits)), dtype) !== expected) throw new Error(`${dtype} ${bits}`);
      }
    }
  });

  test('integers are finite whatever their bits', () => {
    for (const dtype of ['i64', 'i32', 'i16', 'i8', 'u8', 'bool'] satisfies StorageDType[]) {
      expect(firstNotFinite(new Uint8Array(16).fill(255), dtype)).toBe(-1);
    }
  });

  test('the tensor and the element are named, beyond the first piece too', async () => {
    const data = new Float32Array(2_500_000);
    data[2_345_678] = Number.NaN;
    const file = await weights([tensorSource('ok', f32([1], [1])), tensorSource('h.0.w', f32(data, [2_500_000]))]);
    const message = `${file.path}: tensor 'h.0.w': element 2345678 is NaN or infinite`;
    const model = { ...file, dir: '', config: {}, files: new Map() };
    await expect(verifyWeights(model)).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining(message),
    });
    await expect(assertFinite(file.tensors.values())).rejects.toThrow(message);
    await assertFinite([file.tensors.get('ok') as TensorEntry]);
    expect(await contentHash(file)).toMatch(/^[0-9a-f]{64}$/);
  });
});
