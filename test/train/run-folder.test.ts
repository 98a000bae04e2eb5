// The folder of a run: what a killed process leaves behind does not stand in the way, what a living one writes is left alone.

import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RunFolder } from '../../src/train/run-folder.js';
import { writeFileAtomic } from '../../src/util/atomic-file.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'malmen-run-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Number of a process that has ended. */
const ended = () => spawnSync(process.execPath, ['--version']).pid;

const open = (more: object = {}) =>
  RunFolder.open(dir, { settingsFile: 'train.json', settings: {}, resume: true, force: false, ...more });

test.each([true, false])('killed before its settings were written, a run starts (resume: %s)', async (resume) => {
  await writeFile(join(dir, `.train.json.${ended()}.0123abcd.tmp`), '{"ra');
  expect((await open({ resume })).state).toBeUndefined();
  expect(await readdir(dir)).toEqual(['train.json']);
});

test.each([
  ['of a living process', `.train.json.${process.ppid}.0123abcd.tmp`],
  ['of another program', '.train.json.swp'],
  ['of a person', 'notes.txt'],
])('a file %s fills a folder', async (_, name) => {
  await writeFile(join(dir, name), '');
  await expect(open()).rejects.toMatchObject({ code: 'exists' });
  expect(await readdir(dir)).toEqual([name]);
});

test('temporary files of this process number are left over, unless it is writing them', async () => {
  const leftover = `.log.${process.pid}.0123abcd.tmp`;
  await writeFile(join(dir, leftover), '');
  const path = join(dir, 'log');
  await Promise.all(['a', 'b', 'c'].map((text) => writeFileAtomic(path, text)));
  expect(await readdir(dir)).toEqual(['log']);
});

test('state, log and result outlive the process; log lines after the state are dropped', async () => {
  const { run } = await open();
  await run.log({ step: 1, loss: 0.5 });
  await run.save({ step: 1, tensors: new Map(), doubles: new Map([['a', Float64Array.of(0.1)]]) });
  await run.log({ step: 2, loss: 0.25 });
  await writeFile(join(dir, `.training.safetensors.${ended()}.0123abcd.tmp`), 'half');
  const again = await open();
  expect(again.state).toMatchObject({ step: 1 });
  expect(again.state?.doubles?.get('a')).toEqual(Float64Array.of(0.1));
  expect(await again.run.finished()).toBeUndefined();
  await again.run.log({ step: 2, loss: 0.125 });
  await again.run.save({ step: 2, tensors: new Map() });
  expect((await readdir(dir)).sort()).toEqual(['log.jsonl', 'train.json', 'training.safetensors']);
  const log = await readFile(join(dir, 'log.jsonl'), 'utf8');
  expect(log).toBe('{"step":1,"loss":0.5}\n{"step":2,"loss":0.125}\n');
});
