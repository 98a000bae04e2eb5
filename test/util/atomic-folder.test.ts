// A folder that replaces another: whichever moment a process is killed at, one of the two is there, and nothing else.

import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeFolderAtomic } from '../../src/util/atomic-file.js';

let dir: string;
let out: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'malmen-atomic-'));
  out = join(dir, 'out');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const ended = () => spawnSync(process.execPath, ['--version']).pid;
const write = (content: string) => (folder: string) => writeFile(join(folder, 'content'), content);
const content = () => readFile(join(out, 'content'), 'utf8');

async function folder(name: string, text: string): Promise<void> {
  await mkdir(join(dir, name));
  await write(text)(join(dir, name));
}

test('it replaces a filled folder only when forced, and returns what was made', async () => {
  await folder('out', 'old');
  await expect(writeFolderAtomic(out, false, write('new'))).rejects.toMatchObject({ code: 'exists' });
  expect(await content()).toBe('old');
  expect(await writeFolderAtomic(out, true, async (made) => write('new')(made).then(() => 'made'))).toBe('made');
  expect([await content(), await readdir(dir)]).toEqual(['new', ['out']]);
});

test('one that failed leaves the old folder and nothing else', async () => {
  await folder('out', 'old');
  const failed = writeFolderAtomic(out, true, async (made) => {
    await write('half')(made);
    throw new Error('stopped');
  });
  await expect(failed).rejects.toThrow('stopped');
  expect([await content(), await readdir(dir)]).toEqual(['old', ['out']]);
});

test('where the new folder cannot take the name, the old one keeps it', async () => {
  await folder('out', 'old');
  const vanished = writeFolderAtomic(out, true, (made) => rm(made, { recursive: true }));
  await expect(vanished).rejects.toMatchObject({ code: 'not-found' });
  expect([await content(), await readdir(dir)]).toEqual(['old', ['out']]);
});

test('killed between the two renames, the old folder has its name back', async () => {
  const pid = ended();
  await folder(`.out.${pid}.0123abcd.old`, 'old');
  await folder(`.out.${pid}.89abcdef.tmp`, 'new');
  await expect(writeFolderAtomic(out, false, write('newer'))).rejects.toMatchObject({ code: 'exists' });
  expect(await content()).toBe('old');
  await writeFolderAtomic(out, true, write('newer'));
  expect([await content(), await readdir(dir)]).toEqual(['newer', ['out']]);
});

test('killed after both, the old folder goes', async () => {
  await folder('out', 'new');
  await folder(`.out.${ended()}.0123abcd.old`, 'old');
  await writeFolderAtomic(out, true, write('newer'));
  expect([await content(), await readdir(dir)]).toEqual(['newer', ['out']]);
});
