// Llama's tokenizer against the ids that the published (slow) one gave; prompts and answers of tokenizers that add a space or a
// start token by themselves. Where library and published tokenizer differ, the library is followed, as the published fast one is.

import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openTokenizer, parseTokenizer } from '../../src/tokenizer/tokenizer.js';
import { trainByteLevelBpe } from '../../src/tokenizer/train-bpe.js';
import { goldenPath, isAbsent, readJsonFile, sharedPath } from '../data/stored-data.js';

interface StoredCases {
  readonly vocab_size_with_added: number;
  readonly special_ids: { readonly bos: number; readonly eos: number };
  readonly cases: readonly {
    readonly text: string;
    readonly ids: number[];
    readonly ids_no_special: number[];
    readonly decoded: string;
  }[];
}

const folder = sharedPath('data/tokenizers/llama');

describe.skipIf(isAbsent(join(folder, 'tokenizer.json')))('Llama', () => {
  const stored = readJsonFile<StoredCases>(goldenPath('tokenizers/llama_slow.json'));
  /** Special tokens spelt out: the published one keeps the spaces between them as tokens, the library drops some. */
  const spelt = '<s> </s> <pad> <extra_id_0> <unk>';
  const cases = stored.cases.filter(({ text }) => text !== spelt);

  test('ids of 79 of 80 strings are those of the published tokenizer', async () => {
    const tokenizer = await openTokenizer(folder);
    expect(stored.cases).toHaveLength(80);
    expect(cases).toHaveLength(79);
    expect(tokenizer.vocabularySize).toBe(stored.vocab_size_with_added);
    expect(tokenizer.endOfText).toBe(stored.special_ids.eos);
    expect(await tokenizer.encode(cases.map(({ text }) => text))).toEqual(cases.map((one) => one.ids_no_special));
    expect(await tokenizer.encodePrompts(cases.map(({ text }) => text))).toEqual(cases.map(({ ids }) => ids));
  });

  test('text of lists of ids, but for leading spaces, of which the published one drops one more', async () => {
    const tokenizer = await openTokenizer(folder);
    const texts = await tokenizer.decode(cases.map((one) => one.ids_no_special));
    expect(texts.map((text) => text.trimStart())).toEqual(cases.map(({ decoded }) => decoded.trimStart()));
    expect(texts.filter((text, at) => text !== cases[at]!.decoded)).toHaveLength(4);
  });

  test('prompt and answer together are the ids of the whole text, with one space between', async () => {
    const tokenizer = await openTokenizer(folder);
    const [prompt] = await tokenizer.encodePrompts(['The capital of France is']);
    const answers = await tokenizer.encodeAnswers(['Paris', ' Paris', ' Paris \n']);
    const [whole] = await tokenizer.encodePrompts(['The capital of France is Paris']);
    for (const answer of answers) expect([...prompt!, ...answer]).toEqual(whole);
  });

  test('a start token that the text spells out is not doubled', async () => {
    const tokenizer = await openTokenizer(folder);
    const [spelled] = await tokenizer.encodePrompts(['<s>Paris']);
    expect(spelled!.filter((id) => id === stored.special_ids.bos)).toHaveLength(1);
    expect(spelled![0]).toBe(stored.special_ids.bos);
  });
});

describe('byte-level', () => {
  const json = trainByteLevelBpe(['a small vocabulary', 'a small tokenizer'], 300);
  const bytes = (addPrefixSpace: boolean) => {
    const parsed = JSON.parse(json);
    parsed.pre_tokenizer.add_prefix_space = addPrefixSpace;
    return parseTokenizer(JSON.stringify(parsed), 'bytes');
  };

  test.each([true, false])('answers begin with one space (the tokenizer adds one: %s)', async (adds) => {
    const tokenizer = bytes(adds);
    expect(await tokenizer.decode(await tokenizer.encodeAnswers(['small', ' small ']))).toEqual([' small', ' small']);
  });

  test('prompts are the plain ids where the tokenizer has no start token', async () => {
    const tokenizer = bytes(false);
    expect(await tokenizer.encodePrompts(['a small', ''])).toEqual(await tokenizer.encode(['a small', '']));
  });

  test('what is put behind a text is not put behind a prompt', async () => {
    const special = { SpecialToken: { id: '<|endoftext|>', type_id: 0 } };
    const text = { Sequence: { id: 'A', type_id: 0 } };
    const framed = (single: unknown[]) => ({
      ...JSON.parse(json),
      post_processor: {
        type: 'TemplateProcessing',
        single,
        pair: [text, { Sequence: { id: 'B', type_id: 1 } }],
        special_tokens: { '<|endoftext|>': { id: '<|endoftext|>', ids: [0], tokens: ['<|endoftext|>'] } },
      },
    });
    const plain = await bytes(false).encode(['small']);
    const open = (single: unknown[]) => parseTokenizer(JSON.stringify(framed(single)), 'framed');
    expect(await open([text, special]).encodePrompts(['small'])).toEqual(plain);
    expect(await open([special, text, special]).encodePrompts(['small'])).toEqual([[0, ...plain[0]!]]);
  });
});
