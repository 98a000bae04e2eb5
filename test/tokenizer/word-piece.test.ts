// BERT and T5 tokenizers against the ids that the published packages gave, and layouts of fresh vocabularies.

import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inputLayouts } from '../../src/tokenizer/input-layout.js';
import { openTokenizer, parseTokenizer, type Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { trainByteLevelBpe } from '../../src/tokenizer/train-bpe.js';
import { wordPieceJson } from '../../src/tokenizer/word-piece-json.js';
import { goldenPath, isAbsent, readJsonFile, sharedPath } from '../data/stored-data.js';

interface GoldenTokenizer {
  readonly vocab_size_with_added: number;
  readonly cases: readonly { readonly text: string; readonly ids: number[]; readonly ids_no_special: number[] }[];
}

/** The fast file lists only what differs from the slow one: we follow the fast tokenizer, as its users do. */
function goldenCases(name: string) {
  const slow = readJsonFile<GoldenTokenizer>(goldenPath(`tokenizers/${name}_slow.json`));
  const fast = readJsonFile<GoldenTokenizer>(goldenPath(`tokenizers/${name}_fast.json`));
  const cases = slow.cases.map((one) => fast.cases.find(({ text }) => text === one.text) ?? one);
  return { cases, size: slow.vocab_size_with_added };
}

async function expectGolden(tokenizer: Tokenizer, name: string): Promise<void> {
  const { cases, size } = goldenCases(name);
  const texts = cases.map(({ text }) => text);
  expect(cases).toHaveLength(80);
  expect(tokenizer.vocabularySize).toBe(size);
  expect(await tokenizer.encode(texts)).toEqual(cases.map((one) => one.ids_no_special));
  expect(await tokenizer.encodeInput(texts)).toEqual(cases.map((one) => one.ids));
}

/** `work` on a folder that holds the vocabulary and, where given, settings. */
async function withVocabulary(source: string, settings: string | undefined, work: (folder: string) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), 'vocab-'));
  try {
    symlinkSync(source, join(folder, 'vocab.txt'));
    if (settings !== undefined) writeFileSync(join(folder, 'tokenizer_config.json'), settings);
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.each(['cased', 'uncased'])('BERT %s from vocab.txt', (name) => {
  const source = sharedPath(`data/tokenizers/bert-base-${name}/vocab.txt`);
  const absent = isAbsent(source);

  test.skipIf(absent).each([
    ['as tokenizer_config.json says', JSON.stringify({ do_lower_case: name === 'uncased' })],
    ['as the vocabulary itself tells', undefined],
  ])('80 strings, %s', async (_, settings) => {
    await withVocabulary(source, settings, async (folder) => {
      await expectGolden(await openTokenizer(folder), `bert_${name}`);
    });
  });
});

const t5 = sharedPath('data/tokenizers/t5');

test.skipIf(isAbsent(join(t5, 'tokenizer.json')))('T5: 80 strings, with and without the end token', async () => {
  const tokenizer = await openTokenizer(t5);
  expect(tokenizer.endOfText).toBe(1);
  await expectGolden(tokenizer, 't5');
});

const options = { lowercase: undefined, stripAccents: undefined, splitChinese: true };

test.each([
  ['[PAD]\n[UNK]\n[CLS]\nword\n', /vocab\.txt: token '\[SEP\]' is missing/],
  ['[PAD]\n[UNK]\n[CLS]\n[SEP]\nword\nword\n', /vocab\.txt:6: token 'word' is there already/],
])('%j is no BERT vocabulary', (text, message) => {
  expect(() => wordPieceJson(text, 'vocab.txt', options)).toThrow(message);
});

describe('a fresh vocabulary', () => {
  const texts = ['the claim is true', 'the claim is false'];

  test('of a classifier: first and last token around a claim', async () => {
    const tokenizer = parseTokenizer(trainByteLevelBpe(texts, 300, inputLayouts.classifier), 'fresh');
    const [[plain], [whole]] = [await tokenizer.encode(['the claim']), await tokenizer.encodeInput(['the claim'])];
    expect(whole).toEqual([1, ...plain!, 2]);
    expect(tokenizer.endOfText).toBeUndefined();
  });

  test('of an encoder-decoder: an end after the input, and a first word as inside a sentence', async () => {
    const tokenizer = parseTokenizer(trainByteLevelBpe(texts, 300, inputLayouts['encoder-decoder']), 'fresh');
    const [[claim], [inside], [whole]] = [
      await tokenizer.encode(['claim']),
      await tokenizer.encode(['the claim']),
      await tokenizer.encodeInput(['claim']),
    ];
    expect(tokenizer.endOfText).toBe(1);
    expect(whole).toEqual([...claim!, 1]);
    expect(inside!.slice(-claim!.length)).toEqual(claim);
    expect((await tokenizer.decode([whole!]))[0]!.trim()).toBe('claim');
  });
});
