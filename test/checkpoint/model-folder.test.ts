// Opening model folders: the stored models, links of a hub cache, and what is missing or contradictory.

import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openModelFolder } from '../../src/checkpoint/model-folder.js';
import { tensorSource, writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { f32 } from '../../src/tensor.js';
import { parseRawFile } from './raw-safetensors.js';
import { goldenModel, temporaryPaths } from './temporary-folder.js';

const newPath = temporaryPaths();

/** A folder with these files; objects are written as JSON, lists of names as tensors. */
async function folderOf(files: Record<string, object | string>): Promise<string> {
  const dir = newPath('model');
  mkdirSync(dir);
  for (const [name, content] of Object.entries(files)) {
    const path = join(dir, name);
    if (Array.isArray(content))
      await writeSafetensors(
        path,
        content.map((tensor) => tensorSource(tensor, f32([1], [1]))),
      );
    else writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  }
  return dir;
}

const config = { model_type: 'gpt2', n_layer: 2 };
const shards = (map: unknown) => ({ 'config.json': config, 'model.safetensors.index.json': { weight_map: map } });

describe('stored models', () => {
  test.each(['bert_fever', 'gpt2', 'gpt_neox', 'gptj', 'llama', 'qwen2', 't5_v10', 't5_v11'])('%s', async (name) => {
    const { dir, config, tensors, files } = await openModelFolder(goldenModel(name));
    expect(dir).toBe(goldenModel(name));
    expect(config.model_type).toBe(name.replace(/_(fever|v1.)$/, ''));
    expect([...files.keys()]).toEqual(['model.safetensors']);
    expect([...tensors.keys()].sort()).toEqual(parseRawFile(join(dir, 'model.safetensors')).names.sort());
  });

  test('llama3, in four shards', async () => {
    const { dir, tensors, files } = await openModelFolder(goldenModel('llama3'));
    const names = [1, 2, 3, 4].map((i) => `model-0000${i}-of-00004.safetensors`);
    expect([...files.keys()]).toEqual(names);
    const own = names.flatMap((name) => parseRawFile(join(dir, name)).names);
    expect([...tensors.keys()].sort()).toEqual(own.sort());
  });
});

describe('what is accepted', () => {
  test('shards in the order of their names; tensors that the index forgot', async () => {
    const dir = await folderOf({
      ...shards({ a: '2.safetensors', b: '1.safetensors' }),
      '1.safetensors': ['b', 'c'],
      '2.safetensors': ['a'],
    });
    const { files, tensors } = await openModelFolder(dir);
    expect([...files.keys()]).toEqual(['1.safetensors', '2.safetensors']);
    expect([...tensors.keys()]).toEqual(['b', 'c', 'a']);
  });

  test('one file goes before an index', async () => {
    const dir = await folderOf({ ...shards({ a: 'absent.safetensors' }), 'model.safetensors': ['a'] });
    expect([...(await openModelFolder(dir)).files.keys()]).toEqual(['model.safetensors']);
  });

  test('links into a cache are resolved', async () => {
    const blobs = await folderOf({ '0a1b': ['a'], '2c3d': config });
    const dir = await folderOf({});
    symlinkSync(join(blobs, '0a1b'), join(dir, 'model.safetensors'));
    symlinkSync(join(blobs, '2c3d'), join(dir, 'config.json'));
    const model = await openModelFolder(dir);
    expect(model.config).toEqual(config);
    expect(model.tensors.get('a')!.path).toBe(realpathSync(join(blobs, '0a1b')));
  });
});

describe('what is refused', () => {
  const model = { 'config.json': config, 'model.safetensors': ['a'] };
  const cases: [string, Record<string, object | string>, string, RegExp][] = [
    ['no config.json', { 'model.safetensors': ['a'] }, 'not-found', /config\.json: reading failed: no such file/],
    [
      'config.json that is no JSON',
      { ...model, 'config.json': '{"model_type": gpt2}' },
      'bad-input',
      /config\.json: not JSON: /,
    ],
    ['config.json with a list', { ...model, 'config.json': '[]' }, 'bad-input', /config\.json: expected a JSON object/],
    ['no model_type', { ...model, 'config.json': { n_layer: 2 } }, 'bad-input', /config\.json: model_type is missing/],
    [
      'model_type that is a number',
      { ...model, 'config.json': { model_type: 2 } },
      'bad-input',
      /model_type is missing/,
    ],
    [
      'no weights',
      { 'config.json': config },
      'not-found',
      /found none of model\.safetensors, model\.safetensors\.index\.json, pytorch_model\.bin/,
    ],
    [
      'damaged weights',
      { ...model, 'model.safetensors': 'abc' },
      'bad-input',
      /model\.safetensors: 3 bytes are too few/,
    ],
    [
      'index that is no JSON',
      { ...shards({}), 'model.safetensors.index.json': '{' },
      'bad-input',
      /index\.json: not JSON/,
    ],
    ['no weight_map', shards(undefined), 'bad-input', /index\.json: weight_map is missing or empty/],
    ['weight_map that is a list', shards(['a']), 'bad-input', /weight_map is missing or empty/],
    ['empty weight_map', shards({}), 'bad-input', /weight_map is missing or empty/],
    ['shard that is no name', shards({ a: 1 }), 'bad-input', /weight_map of 'a': 1 is no file name/],
    [
      'missing shard',
      shards({ a: 'x.safetensors' }),
      'not-found',
      /names shard 'x\.safetensors', which is not in the folder/,
    ],
    [
      'tensor that its shard lacks',
      { ...shards({ a: 'x.safetensors', b: 'x.safetensors' }), 'x.safetensors': ['a'] },
      'mismatch',
      /shard 'x\.safetensors' should hold tensor 'b'/,
    ],
    [
      'tensor in two shards',
      { ...shards({ a: 'x.safetensors', b: 'y.safetensors' }), 'x.safetensors': ['a'], 'y.safetensors': ['a', 'b'] },
      'bad-input',
      /y\.safetensors: tensor 'a' is also in another shard/,
    ],
  ];

  test.each(cases)('%s', async (_, files, code, message) => {
    const dir = await folderOf(files);
    const error = await openModelFolder(dir).catch((e) => e);
    expect(error).toMatchObject({ name: 'MalmenError', code });
    expect(error.message).toMatch(message);
    expect(error.message).toContain(dir);
  });

  test.each(['../x.safetensors', '/etc/x.safetensors', 'sub/x.safetensors', '..', '.', ''])(
    "an index that names '%s'",
    async (shard) => {
      const dir = await folderOf(shards({ a: shard }));
      await expect(openModelFolder(dir)).rejects.toThrow(`'${shard}' is not the name of a file inside`);
    },
  );

  test('no folder, and a file in its place', async () => {
    const absent = newPath('absent');
    await expect(openModelFolder(absent)).rejects.toMatchObject({ code: 'not-found', message: /no such folder/ });
    const dir = await folderOf(model);
    await expect(openModelFolder(join(dir, 'model.safetensors'))).rejects.toThrow(/is a file; give the .* folder/);
  });
});
