// Parameter shifts on disk: round trips, and everything that is not a shift.

import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type TensorSource, tensorSource, writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { loadShift, saveShift } from '../../src/checkpoint/shift-file.js';
import { f32, i64 } from '../../src/tensor.js';
import { asOrdinaryUser, fillDiskAtWrite, readOnlyFolder } from './failing-disk.js';
import { parseRawFile } from './raw-safetensors.js';
import { goldenModel, temporaryPaths } from './temporary-folder.js';

const newPath = temporaryPaths();
const baseHash = 'ab01'.repeat(16);

test('any finite shift comes back as it was saved', async () => {
  const finite = fc.float({ noNaN: true, noDefaultInfinity: true });
  const matrix = fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 1, max: 4 })).chain(([keys, values]) => {
    const elements = fc.array(finite, { minLength: keys * values, maxLength: keys * values });
    return elements.map((data) => f32(data, [keys, values]));
  });
  const modules = fc.uniqueArray(fc.tuple(fc.string({ minLength: 1 }), matrix), {
    selector: ([name]) => name,
    maxLength: 4,
  });
  await fc.assert(
    fc.asyncProperty(modules, fc.string({ minLength: 1 }), async (list, editor) => {
      const path = newPath();
      const shift = { baseHash, editor, modules: new Map(list) };
      await saveShift(path, shift);
      expect(await loadShift(path)).toEqual(shift);
    }),
    { numRuns: 40 },
  );
});

test('the file is as described', async () => {
  const path = newPath();
  await saveShift(path, { baseHash, editor: 'malmen', modules: new Map([['h.0.mlp', f32([1, 2], [2, 1])]]) });
  const { metadata, tensors } = parseRawFile(path);
  expect(metadata).toEqual({ format: 'malmen-shift-1', base_hash: baseHash, editor: 'malmen' });
  expect([...tensors]).toMatchObject([['h.0.mlp.shift', { dtype: 'F32', shape: [2, 1] }]]);
});

describe('what is not saved', () => {
  const cases: [string, Parameters<typeof saveShift>[1], RegExp][] = [
    ['no base', { baseHash: '', editor: 'malmen', modules: new Map() }, /needs its base model and its editor/],
    ['no editor', { baseHash, editor: '', modules: new Map() }, /needs its base model and its editor/],
    ['a vector', { baseHash, editor: 'x', modules: new Map([['m', f32([1], [1])]]) }, /shift of 'm' must be a matrix/],
    [
      'NaN',
      { baseHash, editor: 'x', modules: new Map([['m', f32([1, Number.NaN], [1, 2])]]) },
      /shift of 'm': element 1 is NaN or infinite/,
    ],
  ];

  test.each(cases)('%s', async (_, shift, message) => {
    const path = newPath();
    await expect(saveShift(path, shift)).rejects.toThrow(message);
    expect(existsSync(path)).toBe(false);
  });
});

describe('what cannot be written leaves nothing behind', () => {
  const shift = { baseHash, editor: 'malmen', modules: new Map([['m', f32([1, 2], [1, 2])]]) };

  test.each([1, 2])('a disk that is full at write %i; the shift that was there stays', async (call) => {
    const folder = newPath('folder');
    mkdirSync(folder);
    const path = join(folder, 'x.safetensors');
    await saveShift(path, { ...shift, editor: 'before' });
    const disk = await fillDiskAtWrite(call);
    const error = await saveShift(path, shift).catch((reason) => reason);
    disk.restore();
    expect(error).toMatchObject({ name: 'MalmenError', code: 'no-space' });
    expect(readdirSync(folder)).toEqual(['x.safetensors']);
    expect((await loadShift(path)).editor).toBe('before');
  });

  test.skipIf(process.platform === 'win32')('a folder without permission', async () => {
    const folder = readOnlyFolder(newPath('folder'));
    const error = await asOrdinaryUser(() => saveShift(join(folder, 'x'), shift).catch((reason) => reason));
    expect(error).toMatchObject({ name: 'MalmenError' });
    expect(error.message).toContain(folder);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('what is not loaded', () => {
  const good = { format: 'malmen-shift-1', base_hash: baseHash, editor: 'malmen' };
  const matrix = f32([1], [1, 1]);
  const { editor: _, ...noEditor } = good;
  const { base_hash: __, ...noBase } = good;
  const cases: [string, Record<string, string>, TensorSource[], string, RegExp][] = [
    ['no metadata', {}, [], 'bad-input', /not a parameter shift: its metadata's format is missing/],
    ['other metadata', { format: 'pt' }, [], 'bad-input', /format is "pt", expected "malmen-shift-1"/],
    [
      'another version',
      { ...good, format: 'malmen-shift-2' },
      [],
      'unsupported',
      /"malmen-shift-2"; this program reads/,
    ],
    ['no base', noBase, [], 'bad-input', /base_hash is ''/],
    ['a damaged base', { ...good, base_hash: 'abc' }, [], 'bad-input', /base_hash is 'abc', expected the 64/],
    ['no editor', noEditor, [], 'bad-input', /editor is missing/],
    [
      'another name',
      good,
      [tensorSource('m.weight', matrix)],
      'bad-input',
      /tensor 'm\.weight' is f32 .* expected MODULE\.shift/,
    ],
    ['no module', good, [tensorSource('.shift', matrix)], 'bad-input', /tensor '\.shift'/],
    ['a vector', good, [tensorSource('m.shift', f32([1], [1]))], 'bad-input', /is f32 of shape \[1\]; expected/],
    ['integers', good, [tensorSource('m.shift', i64([1], [1, 1]))], 'bad-input', /is i64 of shape \[1,1\]; expected/],
    ['NaN', good, [tensorSource('m.shift', f32([Number.NaN], [1, 1]))], 'bad-input', /'m\.shift': element 0 is NaN/],
  ];

  test.each(cases)('%s', async (_, metadata, sources, code, message) => {
    const path = newPath();
    await writeSafetensors(path, sources, metadata);
    const error = await loadShift(path).catch((e) => e);
    expect(error).toMatchObject({ name: 'MalmenError', code });
    expect(error.message).toMatch(message);
    expect(error.message).toContain(path);
  });

  test('a model, and nothing at all', async () => {
    await expect(loadShift(`${goldenModel('gpt2')}/model.safetensors`)).rejects.toThrow(/not a parameter shift/);
    await expect(loadShift(newPath('absent'))).rejects.toMatchObject({ code: 'not-found' });
  });
});
