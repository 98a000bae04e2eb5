// Reading safetensors: the stored models against a reader made by hand, every kind of damage, conversions of elements.

import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, realpathSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readSafetensorsHeader } from '../../src/checkpoint/safetensors.js';
import { readFloat64, readTensor, readTensors } from '../../src/checkpoint/stored-tensor.js';
import { f32ToBf16 } from '../../src/tensor.js';
import { parseRawFile, rawFile } from './raw-safetensors.js';
import { goldenModel, goldenModelFiles, temporaryPaths } from './temporary-folder.js';

const newPath = temporaryPaths();
const f32Bytes = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

describe('stored models', () => {
  const files = goldenModelFiles();

  test('there are some', () => expect(files.length).toBeGreaterThan(10));

  test.each(files.map((path) => [path.split('/').slice(-2).join('/'), path]))('%s', async (_, path) => {
    const { tensors, metadata } = await readSafetensorsHeader(path);
    const truth = parseRawFile(path);
    expect(metadata).toEqual(truth.metadata ?? {});
    expect([...tensors.keys()].sort()).toEqual([...truth.names].sort());
    for (const [name, { dtype, shape, bytes }] of truth.tensors) {
      expect(tensors.get(name)).toMatchObject({ name, dtype: dtype.toLowerCase(), shape, bytes: bytes.byteLength });
      if (dtype === 'F32') {
        const { data } = await readTensor(tensors.get(name)!);
        expect(Buffer.compare(Buffer.from(data.buffer), bytes), name).toBe(0);
      }
    }
  });

  test('bfloat16 weights are the float32 weights rounded', async () => {
    const exact = await readSafetensorsHeader(join(goldenModel('gptj'), 'model.safetensors'));
    const rounded = await readSafetensorsHeader(join(goldenModel('gptj'), 'model.bf16.safetensors'));
    const raw = parseRawFile(rounded.path);
    expect([...exact.tensors.values()].filter(({ dtype }) => dtype === 'f32').length).toBeGreaterThan(10);
    for (const [name, entry] of exact.tensors) {
      if (entry.dtype !== 'f32') continue;
      const { data } = await readTensor(entry);
      const bits = Buffer.from(f32ToBf16(data as Float32Array).buffer);
      expect(Buffer.compare(bits, raw.tensors.get(name)!.bytes), name).toBe(0);
    }
  });
});

describe('damage is refused by name', () => {
  const one = (fields: object) => ({ t: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...fields } });
  const eight = new Uint8Array(8);
  const two = (first: number[], second: number[]) => ({
    t: { dtype: 'U8', shape: [first[1]! - first[0]!], data_offsets: first },
    u: { dtype: 'U8', shape: [second[1]! - second[0]!], data_offsets: second },
  });

  const cases: [string, unknown, Uint8Array, RegExp][] = [
    ['header is no JSON', '{"t": ', eight, /header is not JSON in UTF-8 \(.+\); not a safetensors file/],
    ['header is a list', '[]', eight, /header is not a JSON object/],
    ['header is null', 'null', eight, /header is not a JSON object/],
    ['header does not start with a brace', ' {}', new Uint8Array(), /header is not a JSON object/],
    ['metadata is a list', { __metadata__: [] }, new Uint8Array(), /__metadata__ is not an object of strings/],
    [
      'metadata holds a number',
      { __metadata__: { step: 1 } },
      new Uint8Array(),
      /__metadata__: 'step' is not a string/,
    ],
    ['entry is null', { t: null }, eight, /tensor 't': expected dtype, shape and data_offsets/],
    ['entry is a list', { t: [] }, eight, /tensor 't': expected dtype/],
    ['dtype missing', one({ dtype: undefined }), eight, /tensor 't': dtype \(missing\) is not one of F64, F32/],
    ['dtype unknown', one({ dtype: 'F8_E4M3' }), eight, /tensor 't': dtype "F8_E4M3" is not one of F64, F32/],
    ['dtype named as a property of objects', one({ dtype: 'constructor' }), eight, /dtype "constructor" is not one of/],
    ['shape missing', one({ shape: undefined }), eight, /tensor 't': shape \(missing\) is not a list of sizes/],
    ['shape with a fraction', one({ shape: [0.5] }), eight, /tensor 't': shape \[0.5\] is not a list of sizes/],
    ['shape with a negative size', one({ shape: [-2, -1] }), eight, /shape \[-2,-1\] is not a list of sizes/],
    ['shape too large for the range', one({ shape: [3] }), eight, /F32 of shape \[3\] needs 12 bytes, its range has 8/],
    ['shape beyond all files', one({ shape: [2 ** 40, 2 ** 40] }), eight, /needs more bytes than any file has/],
    ['offsets missing', one({ data_offsets: undefined }), eight, /data_offsets \(missing\) are not two positions/],
    ['three offsets', one({ data_offsets: [0, 4, 8] }), eight, /data_offsets \[0,4,8\] are not two positions/],
    ['negative offset', one({ data_offsets: [-8, 0] }), eight, /data_offsets \[-8,0\] are not two positions/],
    ['reversed offsets', one({ data_offsets: [8, 0] }), eight, /bytes 8 to 0 are not a range/],
    [
      'offsets behind the end',
      one({ data_offsets: [8, 16] }),
      eight,
      /bytes 8 to 16 are not a range of .* 8 data bytes/,
    ],
    ['overlap', two([0, 5], [4, 8]), eight, /tensor 't' and tensor 'u' overlap/],
    ['the same range twice', two([0, 8], [0, 8]), eight, /tensor 't' and tensor 'u' overlap/],
    ['empty tensor inside another', two([0, 8], [4, 4]), eight, /tensor 't' and tensor 'u' overlap/],
    ['hole at the start', two([1, 4], [4, 8]), eight, /1 bytes before tensor 't' belong to no tensor/],
    ['hole in the middle', two([0, 3], [5, 8]), eight, /2 bytes before tensor 'u' belong to no tensor/],
    ['hole at the end', two([0, 3], [3, 6]), eight, /2 bytes after tensor 'u' belong to no tensor/],
    ['data without tensors', {}, eight, /8 bytes after the header belong to no tensor/],
    [
      'a name twice with the same range, once escaped',
      '{"t":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"\\u0074":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
      eight,
      /the header has 't' twice/,
    ],
    ['a field twice', '{"t":{"dtype":"U8","dtype":"I8","shape":[8],"data_offsets":[0,8]}}', eight, /has 'dtype' twice/],
  ];

  test.each(cases)('%s', async (name, header, data, message) => {
    const path = rawFile(newPath(), header, data);
    const error = await readSafetensorsHeader(path).catch((e) => e);
    expect(error.name, name).toBe('MalmenError');
    expect(error.message).toMatch(message);
    expect(error.message).toContain(path);
    expect(error.code).toBe(/is not one of/.test(error.message) ? 'unsupported' : 'bad-input');
  });

  test('a header that is not UTF-8', async () => {
    const path = newPath();
    const text = Buffer.from('{"__metadata__":{"a":"\xff"}}', 'latin1');
    writeFileSync(path, Buffer.concat([Buffer.from([text.byteLength, 0, 0, 0, 0, 0, 0, 0]), text]));
    await expect(readSafetensorsHeader(path)).rejects.toThrow(/header is not JSON in UTF-8/);
  });

  test('no such file', async () => {
    const path = newPath('absent');
    await expect(readSafetensorsHeader(path)).rejects.toMatchObject({
      code: 'not-found',
      message: `${path}: reading failed: no such file or folder`,
    });
  });

  test('empty, cut in the length, in the header, in the data', async () => {
    const path = rawFile(newPath(), one({}), eight);
    const header = JSON.stringify(one({})).length;
    truncateSync(path, 8 + header + 7);
    await expect(readSafetensorsHeader(path)).rejects.toThrow(/tensor 't': bytes 0 to 8 are not .* 7 data bytes/);
    truncateSync(path, 8 + header - 1);
    await expect(readSafetensorsHeader(path)).rejects.toThrow(`should have ${header} bytes, ${header - 1} follow`);
    truncateSync(path, 7);
    await expect(readSafetensorsHeader(path)).rejects.toThrow(/7 bytes are too few for a header/);
    truncateSync(path, 0);
    await expect(readSafetensorsHeader(path)).rejects.toThrow(/0 bytes are too few for a header/);
  });

  test('a header longer than the file, longer than the limit, and a text file', async () => {
    await expect(readSafetensorsHeader(rawFile(newPath(), '{}', eight, 99))).rejects.toThrow(/should have 99 bytes/);
    const over = rawFile(newPath(), '{}', eight, 100_000_001);
    await expect(readSafetensorsHeader(over)).rejects.toThrow(/header of 100000001 bytes is over the limit/);
    const text = newPath('notes.txt');
    writeFileSync(text, 'these are notes, not weights');
    await expect(readSafetensorsHeader(text)).rejects.toThrow(/over the limit of 100000000; not a safetensors file/);
  });

  test('bytes added at the end', async () => {
    const path = rawFile(newPath(), one({}), eight);
    appendFileSync(path, 'x');
    await expect(readSafetensorsHeader(path)).rejects.toThrow(/1 bytes after tensor 't' belong to no tensor/);
  });

  test.skipIf(process.platform === 'win32')('a folder and a pipe are no files', async () => {
    const folder = newPath('folder');
    mkdirSync(folder);
    await expect(readSafetensorsHeader(folder)).rejects.toMatchObject({ name: 'MalmenError', code: 'bad-input' });
    const pipe = newPath('pipe');
    execFileSync('bash', ['-c', 'mkfifo "$0"', pipe]);
    await expect(readSafetensorsHeader(pipe)).rejects.toThrow(`${pipe}: a safetensors file was expected`);
  });

  test('a file that shrinks after its header was read', async () => {
    const path = rawFile(newPath(), one({}), eight);
    const { tensors } = await readSafetensorsHeader(path);
    const file = await open(path, 'r+');
    await file.truncate((await file.stat()).size - 4);
    await file.close();
    await expect(readTensor(tensors.get('t')!)).rejects.toThrow(`${realpathSync(path)}: ended early`);
  });
});

describe('what is allowed', () => {
  test('no tensors, empty tensors, scalars, padding, names with escapes', async () => {
    expect((await readSafetensorsHeader(rawFile(newPath(), '{}   '))).tensors.size).toBe(0);
    const header = {
      __proto__x: { dtype: 'F32', shape: [0, 2 ** 40], data_offsets: [0, 0] },
      'a"\\b\n': { dtype: 'F32', shape: [], data_offsets: [0, 4] },
      '7': { dtype: 'F32', shape: [1, 1], data_offsets: [4, 8] },
    };
    const file = await readSafetensorsHeader(rawFile(newPath(), header, f32Bytes(1.5, -2)));
    expect([...file.tensors.keys()]).toEqual(['__proto__x', 'a"\\b\n', '7']);
    expect(await readTensor(file.tensors.get('a"\\b\n')!)).toEqual({ dtype: 'f32', shape: [], data: f32(1.5) });
    expect(await readTensor(file.tensors.get('7')!)).toEqual({ dtype: 'f32', shape: [1, 1], data: f32(-2) });
  });

  test('an empty tensor at the start of another that the header has first', async () => {
    const header = {
      full: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
      empty: { dtype: 'F32', shape: [0], data_offsets: [0, 0] },
    };
    const file = await readSafetensorsHeader(rawFile(newPath(), header, f32Bytes(1, 2)));
    expect([...file.tensors.keys()]).toEqual(['empty', 'full']);
  });

  test("a tensor called '__proto__'", async () => {
    const path = rawFile(newPath(), '{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', f32Bytes(3));
    expect([...(await readSafetensorsHeader(path)).tensors.keys()]).toEqual(['__proto__']);
  });

  test('long metadata full of escapes', async () => {
    const settings = '"\\'.repeat(500_000);
    const path = rawFile(newPath(), { __metadata__: { settings } });
    expect((await readSafetensorsHeader(path)).metadata.settings).toBe(settings);
  });

  test('data that starts at an odd byte', async () => {
    const fields =
      '{"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}';
    const { tensors } = await readSafetensorsHeader(rawFile(newPath(), fields, new Uint8Array([7, ...f32Bytes(0.1)])));
    expect((await readTensor(tensors.get('w')!)).data).toEqual(f32(0.1));
  });

  test('a link out of the folder is resolved, as in a hub cache', async () => {
    const blob = rawFile(newPath('blob'), { w: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } }, f32Bytes(1));
    const link = newPath('model.safetensors');
    symlinkSync(join('.', basename(blob)), link);
    const file = await readSafetensorsHeader(link);
    expect(file.path).toBe(realpathSync(blob));
    expect(file.tensors.get('w')!.path).toBe(realpathSync(blob));
  });
});

const f32 = (...values: number[]) => Float32Array.from(values);

describe('elements', () => {
  const read = async (dtype: string, data: Uint8Array, count: number) => {
    const header = { t: { dtype, shape: [count], data_offsets: [0, data.byteLength] } };
    return (await readSafetensorsHeader(rawFile(newPath(), header, data))).tensors.get('t')!;
  };
  const bytes = (array: ArrayBufferView) => new Uint8Array(array.buffer as ArrayBuffer);

  // Bits from IEEE 754: largest, smallest subnormal, one third, infinity, minus zero.
  test('float16 bits', async () => {
    const entry = await read('F16', bytes(Uint16Array.of(0x7bff, 0x0001, 0x3555, 0x7c00, 0x8000)), 5);
    expect((await readTensor(entry)).data).toEqual(f32(65504, 2 ** -24, 0.333251953125, Infinity, -0));
  });

  test('bfloat16 bits', async () => {
    const entry = await read('BF16', bytes(Uint16Array.of(0x3f80, 0xc040, 0x7f7f, 0xff80)), 4);
    expect((await readTensor(entry)).data).toEqual(f32(1, -3, 3.3895313892515355e38, -Infinity));
  });

  test('float64 is rounded to float32, or read whole', async () => {
    const entry = await read('F64', bytes(Float64Array.of(0.1, 1e300)), 2);
    expect((await readTensor(entry)).data).toEqual(f32(Math.fround(0.1), Infinity));
    expect(await readFloat64(entry)).toEqual(Float64Array.of(0.1, 1e300));
  });

  test('int64 stays int64', async () => {
    const entry = await read('I64', bytes(BigInt64Array.of(-1n, 2n ** 62n)), 2);
    expect(await readTensor(entry)).toEqual({ dtype: 'i64', shape: [2], data: BigInt64Array.of(-1n, 2n ** 62n) });
  });

  test('other types are not read as numbers', async () => {
    for (const [dtype, width] of [
      ['I32', 4],
      ['I16', 2],
      ['I8', 1],
      ['U8', 1],
      ['BOOL', 1],
    ] as const) {
      const entry = await read(dtype, new Uint8Array(width), 1);
      await expect(readTensor(entry)).rejects.toThrow(`tensor 't' has dtype ${dtype.toLowerCase()}, expected`);
    }
    await expect(readFloat64(await read('F32', f32Bytes(1), 1))).rejects.toThrow(/must be F64, got f32/);
  });

  test('several by name', async () => {
    const header = {
      a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
      b: { dtype: 'F32', shape: [1], data_offsets: [4, 8] },
    };
    const file = await readSafetensorsHeader(rawFile(newPath(), header, f32Bytes(1, 2)));
    expect([...(await readTensors(file, ['b', 'a'])).values()].map(({ data }) => Number(data[0]))).toEqual([2, 1]);
    await expect(readTensors(file, ['c'])).rejects.toThrow(`${file.path}: no tensor 'c'`);
  });
});
