// Where a command finds the model that the user named: a folder before the hub, the hub through its cache.

import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import type { CommandEvent } from '../../src/commands/events.js';
import { inspect } from '../../src/commands/inspect.js';
import { findModel } from '../../src/commands/model-source.js';
import { inspectOptions } from '../../src/commands/options.js';
import { commit, FakeHub } from '../checkpoint/hub/fake-hub.js';
import { goldenModel, temporaryPaths } from '../checkpoint/temporary-folder.js';

const newPath = temporaryPaths();
const read = (name: string) => readFileSync(join(goldenModel('gpt2'), name));

const events: CommandEvent[] = [];
const context = { emit: (event: CommandEvent) => void events.push(event), signal: new AbortController().signal };

afterEach(() => {
  vi.unstubAllEnvs();
  events.length = 0;
});

async function withHub(work: (hub: FakeHub) => Promise<void>): Promise<void> {
  const hub = await FakeHub.start({
    'config.json': read('config.json'),
    'pytorch_model.bin': read('pytorch_model.bin'),
  });
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
  vi.stubEnv('HF_HUB_CACHE', newPath('cache'));
  try {
    await work(hub);
  } finally {
    await hub.stop();
  }
}

test('a command takes a name of the hub, and says how far it is', async () => {
  await withHub(async (hub) => {
    const report = await inspect(inspectOptions.parse({ path: `${hub.id}@${commit}` }), context);
    expect(report).toMatchObject({ kind: 'model', modelType: 'gpt2', vocabulary: 211 });
    const progress = events.filter((event) => event.kind === 'progress');
    expect(progress.at(-1)).toMatchObject({ stage: 'download owner/model', unit: 'MB' });
    expect(progress.at(-1)!.done).toBe(progress.at(-1)!.total);
    expect((await findModel(hub.id, context)).name).toBe(`owner/model@${commit}`);
  });
});

test('a folder wins over a name', async () => {
  await withHub(async (hub) => {
    const place = newPath('place');
    mkdirSync(join(place, 'owner', 'model'), { recursive: true });
    const before = process.cwd();
    process.chdir(place);
    try {
      expect((await findModel(hub.id, context)).dir).toBe(hub.id);
    } finally {
      process.chdir(before);
    }
    expect(hub.requests).toEqual([]);
    expect(readdirSync(place)).toEqual(['owner']);
  });
});

test('a name that neither is says so of both', async () => {
  await withHub(async () => {
    const absent = findModel('runs/editor', context);
    await expect(absent).rejects.toThrow(/^there is no folder 'runs\/editor' here, and on the hub: .*HTTP 404/);
    await expect(findModel('./runs/editor', context)).rejects.toThrow(/^\.\/runs\/editor: no such folder/);
  });
});
