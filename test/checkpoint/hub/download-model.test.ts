// Downloading from a server that speaks the hub's protocol: what comes into the cache, and what happens when connections drop,
// answers are wrong, the disk fills up or the user interrupts.

import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DownloadOptions, downloadModel } from '../../../src/checkpoint/hub/download-model.js';
import { openModelFolder } from '../../../src/checkpoint/model-folder.js';
import { fillDiskAtWrite, mountTinyDisk } from '../failing-disk.js';
import { goldenModel, temporaryPaths } from '../temporary-folder.js';
import { commit, FakeHub, gitSha1, sha256 } from './fake-hub.js';

const newPath = temporaryPaths();

const read = (model: string, name: string) => readFileSync(join(goldenModel(model), name));
const shards = [1, 2, 3, 4].map((at) => `model-0000${at}-of-00004.safetensors`);
const sharded = Object.fromEntries(
  ['config.json', 'model.safetensors.index.json', ...shards].map((name) => [name, read('llama3', name)]),
);
const whole = { 'config.json': read('gpt2', 'config.json'), 'model.safetensors': read('gpt2', 'model.safetensors') };

let hub: FakeHub;
let cacheDir: string;

beforeEach(async () => {
  cacheDir = newPath('cache');
  hub = await FakeHub.start({ ...whole, 'tokenizer.json': Buffer.from('{}'), 'README.md': Buffer.from('# x') });
});
afterEach(() => hub.stop());

interface Change {
  readonly revision?: string;
  readonly token?: string;
  readonly offline?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: DownloadOptions['onProgress'];
  readonly onWarning?: DownloadOptions['onWarning'];
}

function download({ revision = 'main', token, offline = false, signal, onProgress, onWarning }: Change = {}) {
  const settings = { endpoint: hub.endpoint, cacheDir, token, offline };
  const silent = () => undefined;
  return downloadModel(
    { id: hub.id, revision },
    {
      settings,
      signal: signal ?? new AbortController().signal,
      onProgress: onProgress ?? silent,
      onWarning: onWarning ?? silent,
      retryWaitMs: 1,
    },
  );
}

const failure = (change?: Change) =>
  download(change).then(
    () => {
      throw new Error('it was downloaded');
    },
    (error) => error,
  );

const folder = (...parts: string[]) => join(cacheDir, 'models--owner--model', ...parts);
const blob = (name: string) => folder('blobs', sha256(hub.files.get(name)!));

async function replaceHub(files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  await hub.stop();
  hub = await FakeHub.start(files);
}

describe('a download', () => {
  test('is laid out as Python lays it out', async () => {
    const progress: (readonly [number, number])[] = [];
    const { dir } = await download({ onProgress: (done, total) => progress.push([done, total]) });
    expect(dir).toBe(folder('snapshots', commit));
    expect(readFileSync(folder('refs', 'main'), 'utf8')).toBe(commit);
    expect(readdirSync(dir).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
    for (const name of readdirSync(dir)) {
      const bytes = hub.files.get(name)!;
      const hash = name.endsWith('.json') ? gitSha1(bytes) : sha256(bytes);
      expect(readlinkSync(join(dir, name))).toBe(`../../blobs/${hash}`);
      expect(readFileSync(join(dir, name)).equals(bytes)).toBe(true);
    }
    expect(readdirSync(folder('blobs')).filter((name) => name.includes('incomplete'))).toEqual([]);
    expect((await openModelFolder(dir)).config.model_type).toBe('gpt2');
    const size = ['config.json', 'model.safetensors', 'tokenizer.json'].reduce(
      (sum, name) => sum + hub.files.get(name)!.length,
      0,
    );
    expect(progress.at(-1)).toEqual([size, size]);
  });

  test('is not repeated; a commit that is there asks nothing of the network', async () => {
    await download();
    hub.requests.length = 0;
    await download();
    expect(hub.requests.filter(({ method, path }) => method === 'GET' && !path.startsWith('/api/'))).toEqual([]);
    hub.requests.length = 0;
    expect((await download({ revision: commit })).dir).toBe(folder('snapshots', commit));
    expect(hub.requests).toEqual([]);
  });

  test('of shards takes those of the index, and nothing else', async () => {
    await replaceHub({ ...sharded, 'pytorch_model.bin': Buffer.from('x'), 'tf_model.h5': Buffer.from('x') });
    const { dir } = await download();
    expect(readdirSync(dir).sort()).toEqual(Object.keys(sharded).sort());
    expect((await openModelFolder(dir)).files.size).toBe(4);
  });

  test('of torch.save files works where there is nothing else', async () => {
    await replaceHub({ 'config.json': whole['config.json'], 'pytorch_model.bin': read('gpt2', 'pytorch_model.bin') });
    const { tensors } = await openModelFolder((await download()).dir);
    expect(tensors.has('lm_head.weight')).toBe(true);
  });

  test('shows the token to the hub, never to the storage', async () => {
    await download({ token: 'hf_secret' });
    const asked = (onStorage: boolean) => hub.requests.filter((request) => request.onStorage === onStorage);
    expect(asked(false).every(({ authorization }) => authorization === 'Bearer hf_secret')).toBe(true);
    expect(asked(true).length).toBeGreaterThan(0);
    expect(asked(true).every(({ authorization }) => authorization === undefined)).toBe(true);
  });
});

describe('a connection that drops', () => {
  test('is taken up where it ended, as often as it drops', async () => {
    hub.drops.set('model.safetensors', [100_000, 50_000, 150_000, 1, 60_000, 20_000]);
    const { dir } = await download();
    expect(readFileSync(join(dir, 'model.safetensors')).equals(whole['model.safetensors'])).toBe(true);
    const starts = hub.fetches('model.safetensors').map(({ range }) => Number(/\d+/.exec(range ?? '0')![0]));
    expect(starts.length).toBe(7);
    expect(starts[0]).toBe(0);
    expect(starts.every((start, at) => at === 0 || start > starts[at - 1]!)).toBe(true);
  });

  test('five times without a byte is given up; the rest comes with the next run', async () => {
    hub.drops.set('model.safetensors', [100_000, 0, 0, 0, 0, 0]);
    const error = await failure();
    expect(error).toMatchObject({ name: 'MalmenError', code: 'unreachable' });
    expect(error.message).toMatch(/model\.safetensors: .*run again: what is there is kept/);
    // What was under way when the connection broke may be lost.
    const there = statSync(`${blob('model.safetensors')}.incomplete`).size;
    expect(there).toBeGreaterThan(0);
    expect(there).toBeLessThanOrEqual(100_000);
    hub.drops.clear();
    hub.requests.length = 0;
    await download();
    expect(hub.fetches('model.safetensors').map(({ range }) => range)).toEqual([`bytes=${there}-`]);
  });

  test('to a server that cannot continue starts again', async () => {
    hub.ignoresRange = true;
    hub.drops.set('model.safetensors', [100_000]);
    const { dir } = await download();
    expect(readFileSync(join(dir, 'model.safetensors')).equals(whole['model.safetensors'])).toBe(true);
  });

  test('by the user stops at once and continues later', async () => {
    const controller = new AbortController();
    hub.drops.set('model.safetensors', [200_000]);
    const onProgress = (done: number) => {
      if (done > 100_000) controller.abort();
    };
    const error = await failure({ signal: controller.signal, onProgress });
    expect(error).toMatchObject({
      name: 'MalmenError',
      code: 'interrupted',
      message: /owner\/model; run again to continue/,
    });
    const there = statSync(`${blob('model.safetensors')}.incomplete`).size;
    expect(there).toBeGreaterThan(0);
    hub.drops.clear();
    hub.requests.length = 0;
    await download();
    expect(hub.fetches('model.safetensors').map(({ range }) => range)).toEqual([`bytes=${there}-`]);
  });
});

describe('a wrong answer', () => {
  const page = '<!DOCTYPE html><html><title>Sign in</title></html>';
  const sendPage = (status: number, matches: (path: string) => boolean) => {
    hub.misbehaviours.push(({ path }, response) => {
      if (!matches(path)) return false;
      response.writeHead(status, { 'content-type': 'text/html' }).end(page);
      return true;
    });
  };
  const isApi = (path: string) => path.startsWith('/api/');
  const isBlob = (path: string) => path.startsWith('/blob/');

  test.each([
    [200, 'bad-input', /answered with a web page where a model's description was expected/],
    [401, 'not-found', /no model owner\/model that anybody may read \(HTTP 401\).*set HF_TOKEN/],
    [403, 'not-found', /access to owner\/model is refused/],
    [404, 'not-found', /HTTP 404; check the model's name, owner\/model/],
    [503, 'unreachable', /HTTP 503; check the connection/],
  ])('a page with status %i for the description', async (status, code, message) => {
    sendPage(status, isApi);
    const error = await failure();
    expect(error).toMatchObject({ name: 'MalmenError', code });
    expect(error.message).toMatch(message);
    expect(existsSync(cacheDir)).toBe(false);
  });

  test.each([
    [
      200,
      'bad-input',
      /model\.safetensors: the server \(127\.0\.0\.1:\d+\) answered with a web page instead of the file/,
    ],
    [404, 'not-found', /HTTP 404/],
    [503, 'unreachable', /HTTP 503/],
  ])('a page with status %i for a file', async (status, code, message) => {
    sendPage(status, isBlob);
    const error = await failure();
    expect(error).toMatchObject({ name: 'MalmenError', code });
    expect(error.message).toMatch(message);
    expect(existsSync(blob('model.safetensors'))).toBe(false);
  });

  test('a busy server is asked again', async () => {
    const refused = new Set<string>();
    hub.misbehaviours.push(({ method, path }, response) => {
      if (refused.has(`${method} ${path}`)) return false;
      refused.add(`${method} ${path}`);
      response.writeHead(503, { 'retry-after': '0' }).end();
      return true;
    });
    expect((await download()).commit).toBe(commit);
  });

  test('an unknown revision', async () => {
    expect((await failure({ revision: 'v9' })).message).toMatch(/owner\/model has no revision 'v9'/);
  });

  test.each(['model.safetensors', 'config.json'])('another hash of %s', async (name) => {
    hub.falseHashes.set(name, 'ab'.repeat(name.endsWith('.json') ? 20 : 32));
    const error = await failure();
    expect(error).toMatchObject({ name: 'MalmenError', code: 'bad-input' });
    expect(error.message).toMatch(new RegExp(`${name}: what was downloaded does not have the hash abab`));
    expect(readdirSync(folder('blobs')).filter((file) => file.startsWith('abab'))).toEqual([]);
  });

  test.each(['../../../../evil', 'x'.repeat(64), ''])('a hash that is none (%s)', async (hash) => {
    hub.falseHashes.set('model.safetensors', hash);
    expect((await failure()).message).toMatch(/does not say what the file is/);
  });

  test('leftovers of another download are found out and replaced', async () => {
    await mkdir(folder('blobs'), { recursive: true });
    writeFileSync(`${blob('model.safetensors')}.incomplete`, Buffer.alloc(100_000, 1));
    const { dir } = await download();
    expect(readFileSync(join(dir, 'model.safetensors')).equals(whole['model.safetensors'])).toBe(true);
    expect(hub.fetches('model.safetensors').map(({ range }) => range)).toEqual(['bytes=100000-', undefined]);
  });

  test('more bytes than stated', async () => {
    hub.misbehaviours.push(({ path, method }, response) => {
      if (!isBlob(path) || method !== 'GET') return false;
      response.end(Buffer.alloc(whole['model.safetensors'].length + 1));
      return true;
    });
    expect((await failure()).message).toMatch(/the server sent more than the \d+ bytes/);
  });

  test('an index that names a file outside the folder, or a shard that is not there', async () => {
    const index = (shard: string) => Buffer.from(JSON.stringify({ weight_map: { a: shard } }));
    await replaceHub({ ...sharded, 'model.safetensors.index.json': index('../../../evil') });
    expect((await failure()).message).toMatch(/'\.\.\/\.\.\/\.\.\/evil' is not the name of a file inside/);
    await replaceHub({ ...sharded, 'model.safetensors.index.json': index('model-9.safetensors') });
    expect((await failure()).message).toMatch(/names shard 'model-9\.safetensors', which the hub does not have/);
  });

  test('a repository without a model', async () => {
    await replaceHub({ 'README.md': Buffer.from('x'), 'data.csv': Buffer.from('x') });
    const error = await failure();
    expect(error).toMatchObject({
      code: 'unsupported',
      message: /holds no config\.json with one of .*it has README\.md, data\.csv/,
    });
  });
});

describe('a full disk', () => {
  test('in mid-download keeps what is there, and the next run goes on', async () => {
    hub.drops.set('model.safetensors', [200_000]);
    const disk = await fillDiskAtWrite(6);
    const error = await failure();
    disk.restore();
    expect(error).toMatchObject({ name: 'MalmenError', code: 'no-space' });
    expect(error.message).toMatch(/\.incomplete: downloading failed: no space left/);
    expect(existsSync(folder('refs', 'main'))).toBe(false);
    hub.drops.clear();
    const { dir } = await download();
    expect(readFileSync(join(dir, 'model.safetensors')).equals(whole['model.safetensors'])).toBe(true);
  });

  test('is seen before anything is loaded', async ({ skip }) => {
    const disk = mountTinyDisk(cacheDir);
    if (!disk) return skip('mounting is not allowed here');
    try {
      const error = await failure();
      expect(error).toMatchObject({ name: 'MalmenError', code: 'no-space' });
      expect(error.message).toMatch(/owner\/model needs 1 MB, 1 MB are free; free some, or set HF_HUB_CACHE/);
      expect(hub.fetches('model.safetensors')).toEqual([]);
    } finally {
      disk.unmount();
    }
  });
});

describe('without a connection', () => {
  test('offline, what is there is used and nothing is asked', async () => {
    await download();
    hub.requests.length = 0;
    expect((await download({ offline: true })).dir).toBe(folder('snapshots', commit));
    expect(hub.requests).toEqual([]);
  });

  test('offline, what is missing is named', async () => {
    expect((await failure({ offline: true })).message).toMatch(/it was never downloaded.*HF_HUB_OFFLINE/);
    hub.drops.set('model.safetensors', [0, 0, 0, 0, 0]);
    await failure();
    writeFileSync(join(cacheDir, 'x'), '');
    await mkdir(folder('refs'), { recursive: true });
    writeFileSync(folder('refs', 'main'), commit);
    expect((await failure({ offline: true })).message).toMatch(/its copy lacks the weights/);
  });

  test('the copy that was downloaded before is used, with a warning', async () => {
    await download();
    hub.misbehaviours.push((_, response) => {
      response.destroy();
      return true;
    });
    const warnings: string[] = [];
    const { dir } = await download({ onWarning: (text) => warnings.push(text) });
    expect(dir).toBe(folder('snapshots', commit));
    expect(warnings).toEqual([expect.stringMatching(/Using the copy of owner\/model that was downloaded before/)]);
  });

  test('and without a copy it is said that there is none to reach', async () => {
    hub.misbehaviours.push((_, response) => {
      response.destroy();
      return true;
    });
    expect(await failure()).toMatchObject({ name: 'MalmenError', code: 'unreachable' });
  });
});
