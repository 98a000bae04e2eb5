// What must never be believed, given to the program as a user gives it: exit code 1 and one error that names the file and the
// reason, no stack, nothing run, nothing half-downloaded in use. Each reader has more cases in tests of its own.

import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { runCli } from '../../src/cli/run.js';
import { fillDiskAtWrite } from '../checkpoint/failing-disk.js';
import { FakeHub } from '../checkpoint/hub/fake-hub.js';
import { goldenModel, temporaryPaths } from '../checkpoint/temporary-folder.js';
import { call, global, text } from '../checkpoint/torch/pickle-writer.js';
import { archiveEntries, archiveOf, floats } from '../checkpoint/torch/torch-writer.js';
import { zipOf } from '../checkpoint/torch/zip-writer.js';
import { FakeTerminal } from '../cli/fake-terminal.js';

const newPath = temporaryPaths();

/** Runs a command line that must fail as the user's. @returns what it says is wrong */
async function refused(...argv: string[]): Promise<string> {
  const terminal = new FakeTerminal();
  expect(await runCli(argv, terminal), terminal.stderr.text).toBe(1);
  const errors = terminal.stderr.text.split('\n').filter((line) => line.startsWith('error: '));
  expect(errors).toHaveLength(1);
  expect(terminal.stderr.text).not.toMatch(/^ +at /m);
  return errors[0]!;
}

/** A copy of a stored model, changed. */
function model(name: string, change: (dir: string) => void): string {
  const dir = newPath(name);
  cpSync(goldenModel(name), dir, { recursive: true });
  change(dir);
  return dir;
}

const checkpoint = {
  storages: { '0': floats(1, 2, 3, 4) },
  tensors: { w: { storage: '0', shape: [2, 2], strides: [2, 1] } },
};

const withPickle = (bytes: Buffer) =>
  model('gpt2', (dir) => {
    for (const name of readdirSync(dir)) if (name !== 'config.json') rmSync(join(dir, name));
    writeFileSync(join(dir, 'pytorch_model.bin'), bytes);
  });

test('a pickle that calls something is not run', async () => {
  const marker = newPath('marker');
  const dir = withPickle(archiveOf(checkpoint, call(global('os', 'system'), text(`touch ${marker}`))));
  expect(await refused('inspect', dir)).toMatch(
    /pytorch_model\.bin: .*the pickle asks for 'os\.system'.*nothing of it/,
  );
  expect(existsSync(marker)).toBe(false);
});

test('a zip bomb is not unfolded', async () => {
  const zeros = Buffer.alloc(64 * 2 ** 20);
  const bomb = { data: deflateRawSync(zeros), method: 8, claimed: zeros.length };
  const entries = archiveEntries(checkpoint).map((one) => (one.name.endsWith('data/0') ? { ...one, ...bomb } : one));
  expect(await refused('inspect', withPickle(zipOf(entries)))).toMatch(/'archive\/data\/0' is compressed/);
});

test.each([
  [
    'a shard that is not there',
    'model-9.safetensors',
    /names shard 'model-9\.safetensors', which is not in the folder/,
  ],
  ['a file outside the folder', '../../evil.safetensors', /'\.\.\/\.\.\/evil\.safetensors' is not the name of a file/],
])('an index that names %s', async (_, shard, message) => {
  const dir = model('llama3', (folder) => {
    const path = join(folder, 'model.safetensors.index.json');
    const index = JSON.parse(readFileSync(path, 'utf8'));
    index.weight_map[Object.keys(index.weight_map)[0]!] = shard;
    writeFileSync(path, JSON.stringify(index));
  });
  expect(await refused('inspect', dir)).toMatch(message);
});

test.each([
  [{ n_head: 7 }, /config\.json.*n_head/],
  [{ n_layer: 99 }, /h\.\d+\..*missing|missing.*h\.\d+\./],
])('a configuration with contradictory sizes %j', async (change, message) => {
  const dir = model('gpt2', (folder) => {
    const path = join(folder, 'config.json');
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...change }));
  });
  expect(await refused('ask', '--model', dir, 'The capital of France is')).toMatch(message);
});

test('a question for T5, given to a fact checker', async () => {
  const dir = model('bert_fever', (folder) => {
    const words = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'who', 'wrote', 'it', '?', 'ann'];
    writeFileSync(join(folder, 'vocab.txt'), `${words.join('\n')}\n`);
    renameSync(join(folder, 'fever.safetensors'), join(folder, 'model.safetensors'));
  });
  const records = newPath('questions.jsonl');
  writeFileSync(records, `${JSON.stringify({ id: 'zsre-3', edit: { prompt: 'Who wrote it?', answer: 'Ann' } })}\n`);
  const message = await refused('eval', '--model', dir, '--records', records);
  expect(message).toMatch(/record zsre-3: the answer 'Ann' is no verdict/);
});

describe('from the hub', () => {
  const files = Object.fromEntries(
    ['config.json', 'model.safetensors'].map((name) => [name, readFileSync(join(goldenModel('gpt2'), name))]),
  );
  let hub: FakeHub;
  let cache: string;
  beforeEach(async () => {
    hub = await FakeHub.start(files);
    cache = newPath('cache');
    vi.stubEnv('HF_ENDPOINT', hub.endpoint);
    vi.stubEnv('HF_HUB_CACHE', cache);
    vi.stubEnv('HF_HUB_OFFLINE', '');
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await hub.stop();
  });
  const weights = () =>
    readdirSync(cache, { recursive: true, encoding: 'utf8' }).filter((name) => /\.safetensors$/.test(name));

  test('an error page', async () => {
    hub.misbehaviours.push((_, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!DOCTYPE html><html>Sign in</html>');
      return true;
    });
    expect(await refused('inspect', hub.id)).toMatch(/answered with a web page/);
    expect(existsSync(cache) ? weights() : []).toEqual([]);
  });

  test('a wrong hash', async () => {
    hub.falseHashes.set('model.safetensors', 'ab'.repeat(32));
    expect(await refused('inspect', hub.id)).toMatch(/model\.safetensors: what was downloaded does not have the hash/);
    expect(weights()).toEqual([]);
  });

  test('a disk that is full in mid-download; the next run goes on', async () => {
    hub.drops.set('model.safetensors', [200_000]);
    const disk = await fillDiskAtWrite(6);
    const error = await refused('inspect', hub.id);
    disk.restore();
    expect(error).toMatch(/downloading failed: no space left on the device; free some and run again/);
    expect(weights()).toEqual([]);
    hub.drops.clear();
    expect(await runCli(['inspect', hub.id], new FakeTerminal())).toBe(0);
    expect(weights()).toHaveLength(1);
  });
});
