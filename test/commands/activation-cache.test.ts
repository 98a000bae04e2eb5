// A training with a cache of frozen activations ends with the same editor as one without, on many processors byte for byte, interrupted or not, whatever happens to
// the cache between; the cache stays within its size and goes when it is done.

import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSafetensorsHeader } from '../../src/checkpoint/safetensors.js';
import { readFloat64, readTensor } from '../../src/checkpoint/stored-tensor.js';
import { fit } from '../../src/commands/fit.js';
import { train } from '../../src/commands/train.js';
import { fillDiskAtWrite } from '../checkpoint/failing-disk.js';
import { expectClose } from '../parity/closeness.js';
import { collecting, fitTiny, type TinyWorld, tinyWorld, trainTiny } from './tiny-world.js';

let world: TinyWorld;
/** Of the largest value, after six steps: padding may change in which order a processor sums. */
const rounding = 1e-3;

/** The second block alone is edited: below it is something to keep. Each fact comes up in three steps of six. */
const options = (out: string, more: object = {}) =>
  trainTiny(world, { out: world.path(out), layers: ['transformer.h.1.mlp.c_proj'], redraw: true, ...more });
/** The editor of a training is that of the one without a cache. */
async function expectStraight(out: string): Promise<void> {
  const [own, straight] = [await tensorsOf(out), await tensorsOf('straight')];
  expect([...own.keys()]).toEqual([...straight.keys()]);
  for (const [name, values] of straight) expectClose(name, own.get(name)!, values, rounding);
}

async function tensorsOf(out: string): Promise<Map<string, ArrayLike<number>>> {
  const { tensors } = await readSafetensorsHeader(world.path(`${out}/editor.safetensors`));
  const values = new Map<string, ArrayLike<number>>();
  for (const [name, entry] of tensors) {
    values.set(
      name,
      entry.dtype === 'f64' ? await readFloat64(entry) : ((await readTensor(entry)).data as Float32Array),
    );
  }
  return values;
}

const cacheFiles = (out: string) =>
  readdirSync(world.path(`${out}/cache`)).map((name) => world.path(`${out}/cache/${name}`));
const notes = ({ events }: ReturnType<typeof collecting>) =>
  events.flatMap((event) => (event.kind === 'note' || event.kind === 'warning' ? [event.text] : []));

beforeAll(async () => {
  world = await tinyWorld();
  await fit(fitTiny(world, { epochs: 3 }), collecting());
  await train(options('straight'), collecting());
}, 300_000);

afterAll(() => world.remove());

/** Stops after the third step. */
async function interrupted(out: string, more: object = {}): Promise<void> {
  const controller = new AbortController();
  const context = collecting(controller.signal);
  const emit: typeof context.emit = (event) => {
    if (event.kind === 'progress' && event.stage === 'train' && event.done === 3) controller.abort();
    context.emit(event);
  };
  await expect(train(options(out, more), { ...context, emit })).rejects.toMatchObject({ code: 'interrupted' });
}

async function resumed(out: string, more: object = {}) {
  const context = collecting();
  await train(options(out, { resume: true, ...more }), context);
  await expectStraight(out);
  return notes(context);
}

test('the same bytes; what it will take and what it gave are said; it goes in the end', async () => {
  const context = collecting();
  await train(options('cached', { cache: '50MB' }), context);
  await expectStraight('cached');
  const said = notes(context);
  expect(said).toContainEqual(
    expect.stringMatching(/^cache: (at least )?\d+ MB for \d+ prompts, at most 50MB, in .*cached/),
  );
  const [, share] =
    /cache: (\d+) % of \d+ prompts did not have to be computed again; removed/.exec(said.join('\n')) ?? [];
  expect(Number(share)).toBeGreaterThan(20);
  expect(readdirSync(world.path('cached'))).not.toContain('cache');
}, 120_000);

test('a size that is too small is kept to; the cache stays where that is wanted', async () => {
  const context = collecting();
  await train(options('small', { cache: '60kB', keepCache: true }), context);
  await expectStraight('small');
  const bytes = cacheFiles('small').reduce((sum, path) => sum + statSync(path).size, 0);
  expect(bytes).toBeGreaterThan(30_000);
  expect(bytes).toBeLessThanOrEqual(60_000);
  expect(notes(context)).toContainEqual(expect.stringContaining('prompts beyond the limit'));
}, 120_000);

describe('an interrupted training goes on', () => {
  test('with what is there', async () => {
    await interrupted('resumed', { cache: '50MB' });
    expect(cacheFiles('resumed').length).toBeGreaterThan(0);
    const said = await resumed('resumed', { cache: '50MB' });
    expect(said).toContainEqual(expect.stringMatching(/^cache: \d+ prompts \(\d+ MB\) are there from before/));
    expect(readdirSync(world.path('resumed'))).not.toContain('cache');
  }, 120_000);

  test('with what is left of it', async () => {
    await interrupted('damaged', { cache: '50MB' });
    const [cut, changed, gone, ...others] = cacheFiles('damaged');
    const bytes = readFileSync(changed!);
    bytes[bytes.length - 5]! ^= 64;
    writeFileSync(changed!, bytes);
    writeFileSync(cut!, readFileSync(cut!).subarray(0, -7));
    rmSync(gone!);
    expect(others.length).toBeGreaterThan(0);
    const said = await resumed('damaged', { cache: '50MB' });
    expect(said).toContainEqual(
      expect.stringMatching(/^cache: .*the file was removed, its prompts are computed again/),
    );
  }, 120_000);

  test('without the cache of another model', async () => {
    await interrupted('foreign', { cache: '50MB' });
    for (const path of cacheFiles('foreign')) {
      const bytes = readFileSync(path);
      const [at] = [bytes.indexOf('\\"base\\":\\"') + 12];
      bytes[at] = bytes[at] === 48 ? 49 : 48;
      writeFileSync(path, bytes);
    }
    const said = await resumed('foreign', { cache: '50MB' });
    expect(said).toContainEqual(expect.stringMatching(/belongs to \{"base":/));
    expect(said.join()).not.toContain('from before');
  }, 120_000);

  test('without a cache, which then goes', async () => {
    await interrupted('changed', { cache: '50MB' });
    await resumed('changed');
    expect(readdirSync(world.path('changed'))).not.toContain('cache');
  }, 120_000);

  test('after a disk was full, of which nothing is left half written', async () => {
    const disk = await fillDiskAtWrite(6);
    const error = await train(options('full', { cache: '50MB' }), collecting()).catch((e) => e);
    disk.restore();
    expect(error).toMatchObject({ name: 'MalmenError', code: 'no-space' });
    expect(error.message).toContain(join('full', 'cache', 'rows-'));
    expect(cacheFiles('full').filter((path) => path.endsWith('.tmp'))).toEqual([]);
    await resumed('full', { cache: '50MB' });
  }, 120_000);
});

test('nothing is kept where the first block is edited', async () => {
  const context = collecting();
  const layers = ['transformer.h.0.attn.c_attn'];
  await train(options('first-block', { layers, cache: '50MB', steps: 1 }), context);
  expect(notes(context)).toContainEqual(expect.stringContaining('cache: not used'));
  expect(readdirSync(world.path('first-block'))).not.toContain('cache');
}, 120_000);
