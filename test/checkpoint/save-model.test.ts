// Saving models: what was edited changes, everything else is the same bytes; a folder is whole or absent.

import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openModelFolder } from '../../src/checkpoint/model-folder.js';
import { writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { saveEditedModel, saveNewModel } from '../../src/checkpoint/save-model.js';
import { readTensor } from '../../src/checkpoint/stored-tensor.js';
import { f32, f32ToBf16, f32ToF16, type TensorOf } from '../../src/tensor.js';
import { asOrdinaryUser, fillDiskAtWrite, readOnlyFolder } from './failing-disk.js';
import { killHalfway } from './kill-writer.js';
import { parseRawFile } from './raw-safetensors.js';
import { goldenModel, temporaryPaths } from './temporary-folder.js';

const newPath = temporaryPaths();
const none = new Map<string, TensorOf<'f32'>>();

/** A copy of a stored model that may be written to, in a folder of its own. */
function copyOf(name: string): string {
  const dir = join(newPath('place'), name);
  cpSync(goldenModel(name), dir, { recursive: true });
  return dir;
}

/** A model of one tensor `w` [2] in this dtype, and one integer `ids`. */
async function tinyModel(dtype: 'f32' | 'f16' | 'bf16' | 'f64', width: number): Promise<string> {
  const dir = newPath('tiny');
  mkdirSync(dir);
  writeFileSync(join(dir, 'config.json'), '{"model_type": "gpt2"}');
  await writeSafetensors(join(dir, 'model.safetensors'), [
    { name: 'w', dtype, shape: [2], bytes: () => [new Uint8Array(2 * width)] },
    { name: 'ids', dtype: 'i64', shape: [1], bytes: () => [new Uint8Array(8)] },
  ]);
  return dir;
}

describe('an edited model', () => {
  test.each([
    ['gpt2', 'transformer.h.2.mlp.c_proj.weight'],
    ['llama3', 'model.layers.1.mlp.down_proj.weight'],
  ])('%s: only %s differs', async (name, tensor) => {
    const base = await openModelFolder(goldenModel(name));
    const entry = base.tensors.get(tensor)!;
    const before = await readTensor(entry);
    const after = f32(
      Float32Array.from(before.data as Float32Array, (value) => value + 1),
      entry.shape,
    );
    const out = newPath('out');
    await saveEditedModel({ base, out, force: false, edited: new Map([[tensor, after]]) });

    const saved = await openModelFolder(out);
    expect([...saved.files.keys()]).toEqual([...base.files.keys()]);
    for (const file of base.files.keys()) {
      const [was, is] = [parseRawFile(join(base.dir, file)), parseRawFile(join(out, file))];
      expect(is.metadata).toEqual(was.metadata);
      expect([...saved.files.get(file)!.tensors.keys()]).toEqual([...base.files.get(file)!.tensors.keys()]);
      expect([...is.tensors.keys()].sort()).toEqual([...was.tensors.keys()].sort());
      for (const [other, { dtype, shape, bytes }] of was.tensors) {
        expect(is.tensors.get(other)).toMatchObject({ dtype, shape });
        expect(is.tensors.get(other)!.bytes.equals(bytes), other).toBe(other !== tensor);
      }
    }
    expect((await readTensor(saved.tensors.get(tensor)!)).data).toEqual(after.data);
  });

  test('other files are the same bytes; other weights, folders and hidden files stay away', async () => {
    const dir = copyOf('gpt2');
    writeFileSync(join(dir, 'tokenizer.json'), '{"model": {}}\r\n');
    writeFileSync(join(dir, 'pytorch_model.bin.index.json'), '{}');
    writeFileSync(join(dir, 'model.safetensors.index.json'), '{}');
    writeFileSync(join(dir, 'tf_model.h5'), 'x');
    writeFileSync(join(dir, '.gitattributes'), 'x');
    mkdirSync(join(dir, 'onnx'));
    symlinkSync('onnx', join(dir, 'link-to-folder'));
    symlinkSync('tokenizer.json', join(dir, 'link-to-file.json'));
    const out = newPath('out');
    const { leftOut } = await saveEditedModel({ base: await openModelFolder(dir), out, force: false, edited: none });
    const stale = ['model.hubstyle.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin'];
    expect(leftOut).toEqual([...stale, 'pytorch_model.bin.index.json', 'tf_model.h5']);
    const kept = ['config.json', 'config.tf430.json', 'link-to-file.json', 'tokenizer.json'];
    expect(readdirSync(out).sort()).toEqual([...kept, 'model.safetensors'].sort());
    for (const name of kept) expect(readFileSync(join(out, name)).equals(readFileSync(join(dir, name)))).toBe(true);
  });

  test.each([
    ['f32', 4, (values: Float32Array) => values],
    ['f64', 8, (values: Float32Array) => Float64Array.from(values)],
    ['f16', 2, f32ToF16],
    ['bf16', 2, f32ToBf16],
  ] as const)('is stored as %s when the base is', async (dtype, width, stored) => {
    const values = f32([0.1, -3], [2]);
    const out = newPath('out');
    const base = await openModelFolder(await tinyModel(dtype, width));
    await saveEditedModel({ base, out, force: false, edited: new Map([['w', values]]) });
    const { tensors } = parseRawFile(join(out, 'model.safetensors'));
    expect(tensors.get('w')!.dtype).toBe(dtype.toUpperCase());
    expect([...tensors.get('w')!.bytes]).toEqual([...new Uint8Array(stored(values.data).buffer)]);
  });

  test('more files can come along', async () => {
    const out = newPath('out');
    const alongside = async (folder: string) => writeFileSync(join(folder, 'edits.json'), '[]');
    await saveEditedModel({
      base: await openModelFolder(goldenModel('gpt2')),
      out,
      force: false,
      edited: none,
      alongside,
    });
    expect(readFileSync(join(out, 'edits.json'), 'utf8')).toBe('[]');
  });
});

describe('what is refused, leaving nothing behind', () => {
  const save = async (dir: string, edited: ReadonlyMap<string, TensorOf<'f32'>>, out = newPath('out/x')) => {
    const base = await openModelFolder(dir);
    const error = await saveEditedModel({ base, out, force: true, edited }).catch((e) => e);
    return { error, out };
  };
  const edit = (name: string, values: number[], shape = [values.length]) => new Map([[name, f32(values, shape)]]);

  test('edits that do not fit', async () => {
    const dir = await tinyModel('f16', 2);
    const cases = [
      [edit('v', [1]), 'not-found', /no tensor 'v' to replace/],
      [edit('w', [1]), 'mismatch', /tensor 'w' is \[2\], its edited values are \[1\]/],
      [edit('w', [1, 2], [2, 1]), 'mismatch', /tensor 'w' is \[2\], its edited values are \[2,1\]/],
      [edit('ids', [1]), 'unsupported', /tensor 'ids' is i64; only floats can be edited/],
      [edit('w', [0, 65520]), 'bad-input', /tensor 'w': edited element 1 is not finite as f16/],
      [edit('w', [Number.NaN, 0]), 'bad-input', /tensor 'w': edited element 0 is not finite as f16/],
    ] as const;
    for (const [edited, code, message] of cases) {
      const out = join(newPath('parent'), 'x');
      mkdirSync(dirname(out));
      const { error } = await save(dir, edited, out);
      expect(error).toMatchObject({ name: 'MalmenError', code });
      expect(error.message).toMatch(message);
      expect(readdirSync(dirname(out))).toEqual([]);
    }
  });

  test('a filled folder without force; with force it is replaced', async () => {
    const out = newPath('filled');
    mkdirSync(out);
    writeFileSync(join(out, 'thesis.txt'), 'precious');
    const base = await openModelFolder(goldenModel('gpt2'));
    const refused = saveEditedModel({ base, out, force: false, edited: none });
    await expect(refused).rejects.toMatchObject({ name: 'MalmenError', code: 'exists' });
    expect(readdirSync(out)).toEqual(['thesis.txt']);
    await saveEditedModel({ base, out, force: true, edited: none });
    expect(readdirSync(out)).not.toContain('thesis.txt');
  });

  test('the base itself, a folder around it, a link to it, even with force', async () => {
    const dir = copyOf('gpt2');
    const link = newPath('link');
    symlinkSync(dir, link);
    const before = readdirSync(dir);
    for (const out of [dir, `${dir}/`, dirname(dir), link]) {
      const { error } = await save(dir, none, out);
      expect(error, out).toMatchObject({ name: 'MalmenError', code: 'exists' });
      expect(error.message).toContain(`would replace the base model ${dir}`);
    }
    expect(readdirSync(dir)).toEqual(before);
  });

  test('a folder inside the base, or beside it with a longer name, is allowed', async () => {
    const dir = copyOf('gpt2');
    for (const out of [join(dir, 'edited'), `${dir}-edited`]) {
      mkdirSync(out);
      expect((await save(dir, none, out)).error.leftOut).toContain('pytorch_model.bin');
    }
  });

  test.skipIf(process.platform === 'win32')('a folder without permission', async () => {
    const base = await openModelFolder(goldenModel('gpt2'));
    const dir = readOnlyFolder(newPath('read-only'));
    const out = join(dir, 'x');
    const error = await asOrdinaryUser(() =>
      saveEditedModel({ base, out, force: false, edited: none }).catch((e) => e),
    );
    expect(error).toMatchObject({ name: 'MalmenError', code: 'bad-input' });
    expect(error.message).toMatch(/x: writing failed: permission denied/);
    expect(readdirSync(dir)).toEqual([]);
  });

  test('a full disk; what was at the output stays', async () => {
    const out = join(newPath('parent'), 'x');
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, 'before'), '');
    const disk = await fillDiskAtWrite(3);
    const { error } = await save(goldenModel('llama3'), none, out);
    disk.restore();
    expect(error).toMatchObject({ name: 'MalmenError', code: 'no-space' });
    expect(readdirSync(dirname(out))).toEqual(['x']);
    expect(readdirSync(out)).toEqual(['before']);
  });

  test('killed halfway, what was at the output stays beside a temporary name, which the next edit removes', async () => {
    const parent = newPath('parent');
    mkdirSync(join(parent, 'out'), { recursive: true });
    writeFileSync(join(parent, 'out', 'before'), '');
    await killHalfway('model', goldenModel('gpt2'), join(parent, 'out'));
    expect(readdirSync(join(parent, 'out'))).toEqual(['before']);
    const others = readdirSync(parent).filter((name) => name !== 'out');
    expect(others).toEqual([expect.stringMatching(/^\.out\..*\.tmp$/)]);
    const base = await openModelFolder(goldenModel('gpt2'));
    await saveEditedModel({ base, out: join(parent, 'out'), force: true, edited: none });
    expect(readdirSync(parent)).toEqual(['out']);
  });

  test('a link that leads nowhere is named', async () => {
    const dir = copyOf('gpt2');
    symlinkSync('gone', join(dir, 'vocab.json'));
    expect((await save(dir, none)).error.message).toContain(`${join(dir, 'vocab.json')}: reading failed: no such file`);
  });
});

test('a new model opens as it was given', async () => {
  const dir = newPath('new');
  mkdirSync(dir);
  const tensors = new Map([
    ['b', f32([1, 2], [1, 2])],
    ['a', f32([3], [])],
  ]);
  const files = new Map([['tokenizer.json', '{}']]);
  await saveNewModel(dir, { config: { model_type: 'gpt2' }, tensors, files });
  const saved = await openModelFolder(dir);
  expect(saved.config).toEqual({ model_type: 'gpt2' });
  expect(saved.files.get('model.safetensors')!.metadata).toEqual({ format: 'pt' });
  expect([...saved.tensors.keys()]).toEqual(['b', 'a']);
  for (const [name, tensor] of tensors) expect(await readTensor(saved.tensors.get(name)!)).toEqual(tensor);
  expect(readFileSync(join(dir, 'tokenizer.json'), 'utf8')).toBe('{}');
  expect(readdirSync(dir).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
});
