// Weights that a model has under a prefix, or in a file of their own, or in torch.save's layouts: what is computed is the same as
// from safetensors, bit for bit.

import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openModelFolder } from '../../src/checkpoint/model-folder.js';
import { readSafetensorsHeader, writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { tensorBytes } from '../../src/checkpoint/stored-tensor.js';
import { decoderBatchFromPadded } from '../../src/data/batch.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import { goldenModel, temporaryPaths } from './temporary-folder.js';
import { legacyOf, type RawStorage, type RawTensor, rows } from './torch/torch-writer.js';

const newPath = temporaryPaths();
const base = goldenModel('gpt2');

const folder = () => {
  const dir = newPath('model');
  mkdirSync(dir);
  cpSync(join(base, 'config.json'), join(dir, 'config.json'));
  return dir;
};

/** What the model says under its last layer's weights, opened for editing: every weight has a part in it. */
async function predictions(dir: string, weights?: string) {
  const model = await LanguageModel.open(dir, { weights });
  const editable = await model.editing(model.layers());
  const ids = [5, 17, 101, 3, 44, 9];
  const batch = decoderBatchFromPadded({
    shape: [1, ids.length],
    inputIds: ids,
    attentionMask: ids.map(() => 1),
    positionIds: ids.map((_, at) => at),
    labels: ids.map((id) => id + 1),
  });
  const frozen = await editable.freeze(batch);
  const { nll } = await editable.predict(frozen, editable.base);
  await model.close();
  return [...nll];
}

const expected = predictions(base);

async function bytesOf(entry: Parameters<typeof tensorBytes>[0]): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of tensorBytes(entry)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

test("torch.save's zip layout", async () => {
  expect(await predictions(base, join(base, 'pytorch_model.bin'))).toEqual(await expected);
});

describe('the older layout', () => {
  /** The model's tensors; `transpose` stores matrices with their rows and columns exchanged, and says so in the strides. */
  async function older(transpose: boolean): Promise<string> {
    const { tensors: entries } = await openModelFolder(base);
    const storages: Record<string, RawStorage> = {};
    const tensors: Record<string, RawTensor> = {};
    for (const [name, entry] of entries) {
      const { shape } = entry;
      const bytes = await bytesOf(entry);
      const turn = transpose && shape.length === 2;
      const [height, width] = shape as [number, number];
      storages[name] = {
        type: 'FloatStorage',
        elements: bytes.length / 4,
        bytes: turn ? turned(bytes, height, width) : bytes,
      };
      tensors[name] = { storage: name, shape, strides: turn ? [1, height] : rows(shape) };
    }
    const dir = folder();
    writeFileSync(join(dir, 'pytorch_model.bin'), legacyOf({ storages, tensors }));
    return dir;
  }

  function turned(bytes: Buffer, height: number, width: number): Uint8Array {
    const out = Buffer.alloc(bytes.length);
    for (let i = 0; i < height; i++) {
      for (let j = 0; j < width; j++) out.writeUInt32LE(bytes.readUInt32LE(4 * (i * width + j)), 4 * (j * height + i));
    }
    return out;
  }

  test('whose tensors lie at odd positions', async () => {
    const dir = await older(false);
    const { tensors } = await openModelFolder(dir);
    expect([...tensors.values()].some(({ offset }) => offset % 4 !== 0)).toBe(true);
    expect(await predictions(dir)).toEqual(await expected);
  });

  test('whose matrices are transposed', async () => {
    const dir = await older(true);
    expect([...(await openModelFolder(dir)).tensors.values()].some(({ strides }) => strides !== undefined)).toBe(true);
    expect(await predictions(dir)).toEqual(await expected);
  });
});

describe('a prefix', () => {
  async function prefixed(file: string, prefix: string, keep: string): Promise<string> {
    const { tensors } = await readSafetensorsHeader(join(base, file));
    const sources = [...tensors.values()].map((entry) => {
      const { dtype, shape, name } = entry;
      return { name: prefix + name.replace(keep, ''), dtype, shape, bytes: () => tensorBytes(entry) };
    });
    const extra = { name: 'classifier.weight', dtype: 'f32' as const, shape: [1], bytes: () => [new Uint8Array(4)] };
    const path = newPath('weights.safetensors');
    await writeSafetensors(path, [...sources, extra]);
    return path;
  }

  test.each([
    ['model.safetensors', 'backbone.', ''],
    ['model.safetensors', 'module.model.', ''],
    ['model.hubstyle.safetensors', 'backbone.', ''],
    ['model.safetensors', 'backbone.', 'transformer.'],
  ])('of the names of %s: %s (without %s)', async (file, prefix, keep) => {
    expect(await predictions(base, await prefixed(file, prefix, keep))).toEqual(await expected);
  });

  test('does not help where a tensor is missing; the names as they are are reported', async () => {
    const dir = folder();
    const { tensors } = await readSafetensorsHeader(join(base, 'model.safetensors'));
    const [first] = tensors.values();
    await writeSafetensors(join(dir, 'model.safetensors'), [
      { name: 'backbone.x', dtype: first!.dtype, shape: first!.shape, bytes: () => tensorBytes(first!) },
    ]);
    await expect(LanguageModel.open(dir)).rejects.toThrow(/tensor 'transformer\.wte\.weight' is missing/);
  });
});

test('weights of their own need no weights in the folder, and not their name', async () => {
  const dir = folder();
  const path = newPath('0a1b2c');
  writeFileSync(path, readFileSync(join(base, 'pytorch_model.bin')));
  expect(await predictions(dir, path)).toEqual(await expected);
});
