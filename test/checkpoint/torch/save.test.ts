// Edited models in torch.save files: nothing but the edited elements and their checksums changes; another reader of zip archives
// agrees with what was written.

import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import * as yauzl from 'yauzl';
import { openModelFolder } from '../../../src/checkpoint/model-folder.js';
import { saveEditedModel } from '../../../src/checkpoint/save-model.js';
import { readTensor, type TensorEntry } from '../../../src/checkpoint/stored-tensor.js';
import { f32, type TensorOf } from '../../../src/tensor.js';
import { goldenModel, temporaryPaths } from '../temporary-folder.js';
import { archiveEntries, archiveOf, floats, legacyOf, type RawCheckpoint, rows } from './torch-writer.js';
import { zipOf } from './zip-writer.js';

const newPath = temporaryPaths();

function folderOf(files: Readonly<Record<string, Uint8Array | string>>): string {
  const dir = newPath('model');
  mkdirSync(dir);
  writeFileSync(join(dir, 'config.json'), '{"model_type": "gpt2"}');
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content);
  return dir;
}

async function saved(dir: string, edited: ReadonlyMap<string, TensorOf<'f32'>>) {
  const base = await openModelFolder(dir);
  const out = newPath('out');
  const { leftOut } = await saveEditedModel({ base, out, force: false, edited });
  return { out, leftOut, model: await openModelFolder(out) };
}

const values = async (entry: TensorEntry | undefined) => [...(await readTensor(entry!)).data];

/** Positions of the bytes that differ. */
function differences(a: Uint8Array, b: Uint8Array): number[] {
  expect(b.length).toBe(a.length);
  return [...a.keys()].filter((at) => a[at] !== b[at]);
}

/** Every entry's checksum, by a reader that is not ours; its content has it. */
async function assertChecksums(path: string): Promise<void> {
  const archive = await yauzl.openPromise(path);
  let entries = 0;
  for await (const entry of archive.eachEntry()) {
    const pieces: Buffer[] = [];
    for await (const piece of await archive.openReadStreamPromise(entry)) pieces.push(piece as Buffer);
    expect(entry.crc32, entry.fileName).toBe(crc32(Buffer.concat(pieces)));
    entries++;
  }
  expect(entries).toBeGreaterThan(3);
}

test('gpt2: only an edited matrix and its two checksums change', async () => {
  const dir = newPath('gpt2');
  cpSync(goldenModel('gpt2'), dir, { recursive: true, filter: (path) => !path.endsWith('.safetensors') });
  const name = 'transformer.h.2.mlp.c_proj.weight';
  const entry = (await openModelFolder(dir)).tensors.get(name)!;
  const after = f32(
    Float32Array.from(await values(entry), Number).map((value) => value + 1),
    entry.shape,
  );
  const { out, model, leftOut } = await saved(dir, new Map([[name, after]]));
  expect(leftOut).toEqual([]);
  expect(await values(model.tensors.get(name))).toEqual([...after.data]);
  const file = 'pytorch_model.bin';
  const changed = differences(readFileSync(join(dir, file)), readFileSync(join(out, file)));
  const outside = changed.filter((at) => at < entry.offset || at >= entry.offset + entry.bytes);
  expect(outside.length).toBeGreaterThan(0);
  expect(outside.length).toBeLessThanOrEqual(8);
  await assertChecksums(join(out, file));
});

const checkpoint: RawCheckpoint = {
  storages: {
    '0': floats(0, 1, 2, 3, 4, 5, 6, 7),
    '1': { type: 'HalfStorage', elements: 2, bytes: new Uint8Array(4) },
  },
  tensors: {
    turned: { storage: '0', offset: 1, shape: [2, 2], strides: [1, 4] },
    tied: { storage: '0', offset: 1, shape: [1], strides: [1] },
    rest: { storage: '0', offset: 3, shape: [2], strides: rows([2]) },
    half: { storage: '1', shape: [2], strides: [1] },
  },
};

test.each([
  ['zip', archiveOf(checkpoint)],
  ['zip with sizes in the headers', zipOf(archiveEntries(checkpoint), { descriptors: false })],
  ['zip64', zipOf(archiveEntries(checkpoint), { zip64: true })],
  ['older', legacyOf(checkpoint)],
])('%s layout: strided elements change in place, tied ones with them, halves are rounded', async (layout, content) => {
  const edited = new Map([
    ['turned', f32([10, 20, 30, 40], [2, 2])],
    ['half', f32([1 + 2 ** -11, 0.1], [2])],
  ]);
  const { out, model } = await saved(folderOf({ 'pytorch_model.bin': content }), edited);
  expect(await values(model.tensors.get('turned'))).toEqual([10, 20, 30, 40]);
  expect(await values(model.tensors.get('tied'))).toEqual([10]);
  expect(await values(model.tensors.get('rest'))).toEqual([3, 4]);
  // 1 + 2^-11 lies midway between two halves: the even one is 1.
  expect(await values(model.tensors.get('half'))).toEqual([1, 0.0999755859375]);
  if (layout !== 'older') await assertChecksums(join(out, 'pytorch_model.bin'));
});

test('shards: one without an edited tensor is the same bytes, the index too', async () => {
  const one: RawCheckpoint = {
    storages: { '0': floats(1, 2) },
    tensors: { a: { storage: '0', shape: [2], strides: [1] } },
  };
  const two = { storages: one.storages, tensors: { b: one.tensors.a! } };
  const shards = ['pytorch_model-00001-of-00002.bin', 'pytorch_model-00002-of-00002.bin'] as const;
  const index = `{ "weight_map": {"a": "${shards[0]}",\n "b": "${shards[1]}"} }\n`;
  const dir = folderOf({
    [shards[0]]: archiveOf(one),
    [shards[1]]: archiveOf(two),
    'pytorch_model.bin.index.json': index,
  });
  const { out, model, leftOut } = await saved(dir, new Map([['b', f32([7, 8], [2])]]));
  expect(leftOut).toEqual([]);
  expect([...model.files.keys()]).toEqual(shards);
  expect(readFileSync(join(out, shards[0])).equals(readFileSync(join(dir, shards[0])))).toBe(true);
  expect(readFileSync(join(out, 'pytorch_model.bin.index.json'), 'utf8')).toBe(index);
  expect(await values(model.tensors.get('b'))).toEqual([7, 8]);
  await assertChecksums(join(out, shards[1]));
});

test('two edited tensors over the same bytes are refused', async () => {
  const dir = folderOf({ 'pytorch_model.bin': archiveOf(checkpoint) });
  const edited = new Map([
    ['turned', f32([1, 2, 3, 4], [2, 2])],
    ['tied', f32([1], [1])],
  ]);
  await expect(saved(dir, edited)).rejects.toThrow(/two edited tensors share bytes/);
});

test('safetensors shards without an edited tensor are the same bytes, the edited one outside that tensor', async () => {
  const base = await openModelFolder(goldenModel('llama3'));
  const entry = base.tensors.get('model.layers.1.mlp.down_proj.weight')!;
  const { out } = await saved(base.dir, new Map([[entry.name, f32(new Float32Array(entry.bytes / 4), entry.shape)]]));
  for (const [name, { path }] of base.files) {
    const changed = differences(readFileSync(path), readFileSync(join(out, name)));
    if (path !== entry.path) expect(changed, name).toEqual([]);
    else expect(changed.every((at) => at >= entry.offset && at < entry.offset + entry.bytes)).toBe(true);
  }
});
