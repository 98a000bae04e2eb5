// Tokenizers against the ids that the published packages gave, and what is said of folders without a usable one.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { assertFits, openTokenizer, parseTokenizer } from '../../src/tokenizer/tokenizer.js';
import { trainByteLevelBpe } from '../../src/tokenizer/train-bpe.js';
import { goldenPath, isAbsent, readJsonFile, sharedPath } from '../data/stored-data.js';

interface GoldenTokenizer {
  readonly vocab_size_with_added: number;
  readonly special_ids: { readonly eos: number };
  readonly cases: readonly { readonly text: string; readonly ids_no_special: number[]; readonly decoded: string }[];
}

const gpt2Folder = sharedPath('data/tokenizers/gpt2');
const noGpt2 = isAbsent(join(gpt2Folder, 'tokenizer.json'));
const small = trainByteLevelBpe(['a small vocabulary', 'a small tokenizer'], 300);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenizer-'));
});
afterEach(() => rm(folder, { recursive: true }));

const put = (name: string, content: unknown) =>
  writeFile(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));

describe.skipIf(noGpt2)('GPT-2', () => {
  const slow = readJsonFile<GoldenTokenizer>(goldenPath('tokenizers/gpt2_slow.json'));
  const fast = readJsonFile<GoldenTokenizer>(goldenPath('tokenizers/gpt2_fast.json'));
  // The fast file lists only what differs from the slow one.
  const cases = slow.cases.map((one) => fast.cases.find(({ text }) => text === one.text) ?? one);

  test('ids of 80 strings are those of the published tokenizer', async () => {
    const tokenizer = await openTokenizer(gpt2Folder);
    expect(cases).toHaveLength(80);
    expect(tokenizer.vocabularySize).toBe(slow.vocab_size_with_added);
    expect(tokenizer.endOfText).toBe(slow.special_ids.eos);
    expect(await tokenizer.encode(cases.map(({ text }) => text))).toEqual(cases.map((one) => one.ids_no_special));
  });

  test('text of 80 lists of ids, without special tokens', async () => {
    const tokenizer = await openTokenizer(gpt2Folder);
    const texts = await tokenizer.decode(cases.map((one) => one.ids_no_special));
    expect(texts).toEqual(cases.map(({ decoded }) => decoded.replaceAll('<|endoftext|>', '')));
  });

  test('vocab.json and merges.txt give the same tokenizer', async () => {
    const { model, added_tokens } = readJsonFile<{
      model: { vocab: Record<string, number>; merges: (string | [string, string])[] };
      added_tokens: { content: string; id: number }[];
    }>(join(gpt2Folder, 'tokenizer.json'));
    const added = Object.fromEntries(added_tokens.map(({ content, id }) => [content, id]));
    const lines = model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')));
    await put('vocab.json', { ...model.vocab, ...added });
    await put('merges.txt', `#version: 0.2\n${lines.join('\n')}\n`);

    const tokenizer = await openTokenizer(folder);
    expect(tokenizer.vocabularySize).toBe(50257);
    expect(tokenizer.endOfText).toBe(50256);
    expect(await tokenizer.encode(cases.map(({ text }) => text))).toEqual(cases.map((one) => one.ids_no_special));
  });
});

test('thousands of texts come back each with its own ids, in order', async () => {
  const tokenizer = parseTokenizer(small, 'small');
  const texts = Array.from({ length: 2500 }, (_, at) => `a small ${at}`);
  const lists = await tokenizer.encode(texts);
  expect(lists).toHaveLength(2500);
  expect(await tokenizer.decode(lists)).toEqual(texts);
});

describe('end of text', () => {
  const idOf = async (text: string) => (await parseTokenizer(small, 'small').encode([text]))[0]![0]!;

  test('by its usual name when no configuration says', async () => {
    await put('tokenizer.json', small);
    expect((await openTokenizer(folder)).endOfText).toBe(0);
  });

  test('as config.json says, before tokenizer_config.json', async () => {
    await put('tokenizer.json', small);
    await put('config.json', { eos_token_id: [7, 8] });
    await put('tokenizer_config.json', { eos_token: '!' });
    expect((await openTokenizer(folder)).endOfText).toBe(7);
  });

  test.each([['!'], [{ content: '!', special: true }]])('as tokenizer_config.json says: %j', async (token) => {
    await put('tokenizer.json', small);
    await put('tokenizer_config.json', { eos_token: token });
    expect((await openTokenizer(folder)).endOfText).toBe(await idOf('!'));
  });

  test('an id of another vocabulary and a null say nothing', async () => {
    await put('tokenizer.json', small);
    await put('config.json', { eos_token_id: 50256 });
    await put('tokenizer_config.json', { eos_token: null });
    expect((await openTokenizer(folder)).endOfText).toBe(0);
  });

  test('absent when the tokenizer has none', () => {
    const parsed = JSON.parse(small);
    parsed.added_tokens = [];
    parsed.model.vocab = Object.fromEntries(Object.entries(parsed.model.vocab).filter(([token]) => token.length < 9));
    expect(parseTokenizer(JSON.stringify(parsed), 'small').endOfText).toBeUndefined();
  });
});

test('texts are neither cut nor padded, whatever the file asks for', async () => {
  const asking = {
    ...JSON.parse(small),
    truncation: { direction: 'Right', max_length: 2, strategy: 'LongestFirst', stride: 0 },
    padding: {
      strategy: { Fixed: 64 },
      direction: 'Right',
      pad_to_multiple_of: null,
      pad_id: 0,
      pad_type_id: 0,
      pad_token: '<|endoftext|>',
    },
  };
  const texts = ['a small tokenizer', 'a'];
  const plain = await parseTokenizer(small, 'small').encode(texts);
  expect(await parseTokenizer(JSON.stringify(asking), 'asking').encode(texts)).toEqual(plain);
});

test('no special tokens are put around a text, whatever the file asks for', async () => {
  const end = { SpecialToken: { id: '<|endoftext|>', type_id: 0 } };
  const asking = {
    ...JSON.parse(small),
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ Sequence: { id: 'A', type_id: 0 } }, end],
      pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
      special_tokens: { '<|endoftext|>': { id: '<|endoftext|>', ids: [0], tokens: ['<|endoftext|>'] } },
    },
  };
  const plain = await parseTokenizer(small, 'small').encode(['a small tokenizer']);
  expect(await parseTokenizer(JSON.stringify(asking), 'asking').encode(['a small tokenizer'])).toEqual(plain);
});

test('no texts give no ids, no ids no texts', async () => {
  const tokenizer = parseTokenizer(small, 'small');
  expect(await tokenizer.encode([])).toEqual([]);
  expect(await tokenizer.decode([])).toEqual([]);
  expect(await tokenizer.encode([''])).toEqual([[]]);
  expect(await tokenizer.decode([[]])).toEqual(['']);
});

describe('folders that have no usable tokenizer', () => {
  test('nothing there: every file that was looked for is named', async () => {
    await expect(openTokenizer(folder)).rejects.toMatchObject({
      name: 'MalmenError',
      code: 'not-found',
      message: expect.stringMatching(/tokenizer\.json.*vocab\.json.*merges\.txt/),
    });
  });

  test.each([
    ['vocab.json', 'merges.txt'],
    ['merges.txt', 'vocab.json'],
  ])('%s alone', async (present, missing) => {
    await put(present, '{}');
    await expect(openTokenizer(folder)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining(join(folder, missing)),
    });
  });

  test.each(['', '{', '{"a":1}', '[]', 'null'])('tokenizer.json is %j', async (content) => {
    await put('tokenizer.json', content);
    await expect(openTokenizer(folder)).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining(join(folder, 'tokenizer.json')),
    });
  });

  test.each(['config.json', 'tokenizer_config.json'])('%s is cut off', async (name) => {
    await put('tokenizer.json', small);
    await put(name, '{"eos_token_id": 1');
    await expect(openTokenizer(folder)).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining(join(folder, name)),
    });
  });

  test('a merge that is none names file and line', async () => {
    await put('vocab.json', { a: 0, b: 1, ab: 2 });
    await put('merges.txt', '#version: 0.2\na b\nabc\n');
    await expect(openTokenizer(folder)).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining('merges.txt:3'),
    });
  });

  test('an id that is no number names the token', async () => {
    await put('vocab.json', { a: 0, b: 'one' });
    await put('merges.txt', '#version: 0.2\n');
    await expect(openTokenizer(folder)).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringMatching(/vocab\.json.*'b'.*one/),
    });
  });
});

test('a folder in the place of tokenizer.json', async () => {
  await mkdir(join(folder, 'tokenizer.json'));
  await expect(openTokenizer(folder)).rejects.toMatchObject({
    name: 'MalmenError',
    code: 'bad-input',
    message: expect.stringContaining(join(folder, 'tokenizer.json')),
  });
});

describe('assertFits', () => {
  const tokenizer = parseTokenizer(small, 'small');

  test('a model vocabulary of the same size or larger fits', () => {
    expect(() => assertFits(tokenizer, tokenizer.vocabularySize, 'model')).not.toThrow();
    expect(() => assertFits(tokenizer, tokenizer.vocabularySize + 47, 'model')).not.toThrow();
  });

  test('an id beyond the model is a mismatch that names folder and sizes', () => {
    const limit = tokenizer.vocabularySize - 1;
    expect(() => assertFits(tokenizer, limit, 'some/model')).toThrow(
      expect.objectContaining({ code: 'mismatch', message: expect.stringMatching(`some/model.*${limit}`) }),
    );
  });

  test('the highest id counts, not the number of tokens', () => {
    const parsed = JSON.parse(small);
    parsed.added_tokens.push({ ...parsed.added_tokens[0], id: 999, content: '<far>' });
    // The package numbers added tokens itself, so the gap has to be in the vocabulary.
    parsed.model.vocab['<far>'] = 999;
    expect(parseTokenizer(JSON.stringify(parsed), 'gap').vocabularySize).toBe(1000);
  });
});
