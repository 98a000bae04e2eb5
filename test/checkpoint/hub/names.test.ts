// Names of models, and the environment variables that Python's library reads.

import { mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hubName, parseHubId } from '../../../src/checkpoint/hub/hub-id.js';
import { hubSettings } from '../../../src/checkpoint/hub/hub-settings.js';
import { temporaryPaths } from '../temporary-folder.js';

const newPath = temporaryPaths();

describe('a name', () => {
  test.each([
    ['gpt2', 'gpt2', 'main'],
    ['EleutherAI/gpt-j-6b', 'EleutherAI/gpt-j-6b', 'main'],
    ['EleutherAI/gpt-j-6b@float16', 'EleutherAI/gpt-j-6b', 'float16'],
    ['a/b.c_d-e@refs/pr/3', 'a/b.c_d-e', 'refs/pr/3'],
  ])('%s', (text, id, revision) => {
    expect(parseHubId(text)).toEqual({ id, revision });
  });

  test.each([
    '',
    './gpt2',
    '../gpt2',
    '/models/gpt2',
    'a/b/c',
    'a--b',
    'a..b',
    'gpt2/',
    '~/gpt2',
    'C:\\gpt2',
    'gpt2@',
    'gpt2@../x',
    'gpt2@a/../b',
    '.hidden',
    'a b',
  ])("'%s' is none", (text) => {
    expect(parseHubId(text)).toBeUndefined();
  });

  test('is written as it was read', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9]{1,9}(\/[A-Za-z0-9]{1,9})?(@[a-z0-9]{1,9})?$/);
    fc.assert(
      fc.property(name, (text) => {
        expect(hubName(parseHubId(text)!)).toBe(text.replace(/@main$/, ''));
      }),
    );
  });
});

describe('settings', () => {
  const home = join(homedir(), '.cache', 'huggingface');

  test.each([
    [{}, join(home, 'hub')],
    [{ XDG_CACHE_HOME: '/x' }, '/x/huggingface/hub'],
    [{ HF_HOME: '/h', XDG_CACHE_HOME: '/x' }, '/h/hub'],
    [{ HF_HOME: '~/h' }, join(homedir(), 'h', 'hub')],
    [{ HUGGINGFACE_HUB_CACHE: '/o', HF_HOME: '/h' }, '/o'],
    [{ HF_HUB_CACHE: '/c', HUGGINGFACE_HUB_CACHE: '/o' }, '/c'],
  ])('%j', async (environment, cacheDir) => {
    expect((await hubSettings(environment)).cacheDir).toBe(cacheDir);
  });

  test('endpoint and offline', async () => {
    expect(await hubSettings({ HF_ENDPOINT: 'http://mirror.example//', HF_HUB_OFFLINE: 'yes' })).toMatchObject({
      endpoint: 'http://mirror.example',
      offline: true,
    });
    expect(await hubSettings({ HF_HUB_OFFLINE: '0' })).toMatchObject({ offline: false });
  });

  test('the token is the given one, or that of a log-in', async () => {
    const HF_HOME = newPath('home');
    expect((await hubSettings({ HF_HOME })).token).toBeUndefined();
    mkdirSync(HF_HOME);
    writeFileSync(join(HF_HOME, 'token'), 'hf_file\n');
    expect((await hubSettings({ HF_HOME })).token).toBe('hf_file');
    expect((await hubSettings({ HF_HOME, HF_TOKEN: ' hf_given ' })).token).toBe('hf_given');
    expect((await hubSettings({ HF_HOME, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' })).token).toBeUndefined();
  });
});
