// A training that is killed at any moment and resumed ends with the same weights as one that was not.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fit } from '../../src/commands/fit.js';
import { train } from '../../src/commands/train.js';
import { collecting, fitTiny, type TinyWorld, tinyWorld, trainTiny } from './tiny-world.js';

let world: TinyWorld;

beforeAll(async () => {
  world = await tinyWorld();
  await fit(fitTiny(world), collecting());
}, 300_000);

afterAll(() => world.remove());

const program = fileURLToPath(new URL('../../bin/malmen.js', import.meta.url));

function start(command: string, options: object): ChildProcess {
  const flags = Object.entries(options).flatMap(([key, value]) => {
    const flag = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? [flag] : value === false ? [] : [flag, String(value)];
  });
  return spawn(process.execPath, [program, command, ...flags], { stdio: 'ignore' });
}

/** Kills the run at growing moments until it comes to its end by itself. */
async function killedUntilDone(command: string, options: { out: string }, pauses: readonly number[]): Promise<number> {
  let kills = 0;
  for (const pause of [...pauses, undefined]) {
    const run = start(command, { ...options, resume: true });
    const exit = once(run, 'exit');
    if (pause === undefined) {
      const [code] = await exit;
      expect(code).toBe(0);
      return kills;
    }
    // The pause counts from the first line of the log: before it there is nothing to lose.
    for (let waited = 0; waited < 400 && run.exitCode === null && !(await hasLog(options.out)); waited++)
      await sleep(50);
    await sleep(pause);
    if (run.exitCode !== null) return kills;
    run.kill('SIGKILL');
    await exit;
    kills++;
  }
  return kills;
}

const hasLog = (out: string) =>
  stat(`${out}/log.jsonl`).then(
    ({ size }) => size > 0,
    () => false,
  );

test('malmen fit, killed again and again', async () => {
  await fit(fitTiny(world, { out: world.path('straight'), epochs: 8 }), collecting());
  const kills = await killedUntilDone('fit', fitTiny(world, { out: world.path('killed'), epochs: 8 }), [30, 150, 400]);
  expect(kills).toBeGreaterThan(0);
  expect(await readFile(world.path('killed/model.safetensors'))).toEqual(
    await readFile(world.path('straight/model.safetensors')),
  );
}, 240_000);

test('malmen train, killed again and again', async () => {
  await train(trainTiny(world, { out: world.path('straight-editor'), steps: 8 }), collecting());
  const kills = await killedUntilDone(
    'train',
    trainTiny(world, { out: world.path('killed-editor'), steps: 8 }),
    [20, 100, 300],
  );
  expect(kills).toBeGreaterThan(0);
  const weights = (name: string) => readFile(world.path(`${name}/editor.safetensors`));
  expect(await weights('killed-editor')).toEqual(await weights('straight-editor'));
  const log = (await readFile(world.path('killed-editor/log.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).step);
  expect(log).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
}, 240_000);

test('Ctrl-C saves what was done, and says how to go on', async () => {
  const controller = new AbortController();
  const context = collecting(controller.signal);
  const emit = context.emit;
  const stopping = {
    ...context,
    emit: (event: Parameters<typeof emit>[0]) => {
      if (event.kind === 'progress' && event.stage === 'train' && event.done === 3) controller.abort();
      emit(event);
    },
  };
  const options = trainTiny(world, { out: world.path('stopped'), checkpointEvery: 100 });
  await expect(train(options, stopping)).rejects.toMatchObject({
    code: 'interrupted',
    message: expect.stringContaining('--resume'),
  });
  const resumed = collecting();
  await train({ ...options, resume: true }, resumed);
  expect(resumed.events).toContainEqual({ kind: 'note', text: 'continuing after step 3' });
});

test('Ctrl-C before the first step stops there; the run begins when it is resumed', async () => {
  const controller = new AbortController();
  const context = collecting(controller.signal);
  const { emit, events } = context;
  const stopping = {
    ...context,
    emit: (event: Parameters<typeof emit>[0]) => {
      if (event.kind === 'progress' && event.stage === 'read known facts' && event.done === 1) controller.abort();
      emit(event);
    },
  };
  const options = trainTiny(world, { out: world.path('stopped-early'), steps: 1 });
  await expect(train(options, stopping)).rejects.toMatchObject({
    code: 'interrupted',
    message: 'stopped after step 0 of 1; run again with --resume to continue',
  });
  expect(events.at(-1)).toMatchObject({ stage: 'read known facts', done: 1 });
  expect(await train({ ...options, resume: true }, collecting())).toMatchObject({ steps: 1 });
});

test('a run is not resumed with other settings', async () => {
  const options = trainTiny(world, { out: world.path('stopped'), resume: true, rank: 8 });
  await expect(train(options, collecting())).rejects.toMatchObject({
    code: 'mismatch',
    message: expect.stringContaining('rank was 16, now 8'),
  });
});
