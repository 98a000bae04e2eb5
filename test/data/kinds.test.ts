// Tokens and batches of encoder-decoders and classifiers against the published data sets' items, and records that are given to
// the wrong kind of model.

import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { claimBatch } from '../../src/data/claim-batch.js';
import { splitIntoBatches } from '../../src/data/split-batches.js';
import { type NamedExample, tokenizeExamples } from '../../src/data/tuple.js';
import { twoSidedBatch } from '../../src/data/two-sided-batch.js';
import { openTokenizer } from '../../src/tokenizer/tokenizer.js';
import type { ModelKind } from '../../src/util/model-kind.js';
import { type PublishedDataSet, publishedExamples, publishedKinds } from './published-zsre.js';
import { goldenPath, isAbsent, readJsonFile, sharedPath } from './stored-data.js';

const numbers = (data: BigInt64Array | Float32Array) => Array.from(data, Number);

interface TwoSided {
  readonly input_ids: number[][];
  readonly attention_mask: number[][];
  readonly decoder_input_ids: number[][];
  readonly labels: number[][];
}

const t5 = sharedPath('data/tokenizers/t5');

describe.skipIf(isAbsent(join(t5, 'tokenizer.json')))('zsRE for encoder-decoders', () => {
  const dataSet = readJsonFile<PublishedDataSet & { readonly batches: Record<string, TwoSided[]> }>(
    goldenPath('dataset/zsre_t5.json'),
  );

  test.each(publishedKinds)('%s: both sides of every batch', async (published) => {
    const tokenizer = await openTokenizer(t5);
    const pairs = await tokenizeExamples(tokenizer, 'encoder-decoder', publishedExamples(dataSet, published));
    const stored = dataSet.batches[published] as unknown as TwoSided[];
    const split = splitIntoBatches(pairs, { kind: 'encoder-decoder', batchSize: 2, sortByLength: true });
    expect(split).toHaveLength(stored.length);
    for (const [at, { batch }] of split.entries()) {
      const { tensors } = batch as ReturnType<typeof twoSidedBatch>;
      const expected = stored[at]!;
      expect(numbers(tensors.tokenIds.data)).toEqual(expected.input_ids.flat());
      expect(numbers(tensors.attentionMask.data)).toEqual(expected.attention_mask.flat());
      expect(numbers(tensors.decoderIds.data)).toEqual(expected.decoder_input_ids.flat());
      const labels = expected.labels.flat();
      expect(numbers(tensors.labels.data)).toEqual(labels.filter((label) => label !== -100));
      expect(numbers(tensors.answerRows.data)).toEqual(labels.flatMap((label, row) => (label === -100 ? [] : [row])));
    }
  });
});

interface Claims {
  readonly rows: readonly {
    readonly prompt: string;
    readonly equiv_prompt: readonly string[];
    readonly unrel_prompt: string;
    readonly alt: string;
    readonly unrel_ans: string;
  }[];
  readonly batches: Record<
    (typeof publishedKinds)[number],
    { readonly input_ids: number[][]; readonly attention_mask: number[][]; readonly labels: number[][] }[]
  >;
}

const vocabulary = sharedPath('data/tokenizers/bert-base-cased/vocab.txt');

describe.skipIf(isAbsent(vocabulary))('FEVER for classifiers, from vocab.txt alone', () => {
  const dataSet = readJsonFile<Claims>(goldenPath('dataset/fever_bert_cased.json'));
  const examples: Record<(typeof publishedKinds)[number], NamedExample[]> = {
    edit_tuples: dataSet.rows.map(({ prompt, alt }, at) => ({ prompt, answer: alt, recordId: `${at}` })),
    equiv_tuples: dataSet.rows.map((row, at) => ({
      prompt: row.equiv_prompt[0]!,
      answer: row.alt,
      recordId: `${at}`,
    })),
    unrel_tuples: dataSet.rows.map((row, at) => ({
      prompt: row.unrel_prompt,
      answer: row.unrel_ans,
      recordId: `${at}`,
    })),
  };

  test.each(publishedKinds)('%s', async (published) => {
    const folder = mkdtempSync(join(tmpdir(), 'bert-'));
    try {
      symlinkSync(vocabulary, join(folder, 'vocab.txt'));
      writeFileSync(join(folder, 'tokenizer_config.json'), '{"do_lower_case": false}');
      const pairs = await tokenizeExamples(await openTokenizer(folder), 'classifier', examples[published]);
      const split = splitIntoBatches(pairs, { kind: 'classifier', batchSize: 2, sortByLength: true });
      for (const [at, { batch }] of split.entries()) {
        const { tensors, answerCounts } = batch as ReturnType<typeof claimBatch>;
        const expected = dataSet.batches[published][at]!;
        expect(numbers(tensors.tokenIds.data)).toEqual(expected.input_ids.flat());
        expect(numbers(tensors.attentionMask.data)).toEqual(expected.attention_mask.flat());
        expect(numbers(tensors.labels.data)).toEqual(expected.labels.flat());
        expect(numbers(tensors.tokenTypes.data).every((type) => type === 0)).toBe(true);
        expect(numbers(tensors.answerRows.data)).toEqual(expected.input_ids.map((row, claim) => claim * row.length));
        expect(answerCounts).toEqual(expected.labels.map(() => 1));
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('a record for another kind of model', () => {
  const encode = async (texts: readonly string[]) => texts.map(() => [1, 2]);
  const encoders = { encodePrompts: encode, encodeAnswers: encode, encodeInput: encode };
  const question = { prompt: 'Who wrote it?', answer: 'Ann', recordId: 'zsre-3' };
  const claim = { prompt: 'Ann wrote it.', answer: 'SUPPORTS', recordId: 'fever-9' };

  test.each<[string, ModelKind, NamedExample, RegExp]>([
    ['a question to a fact checker', 'classifier', question, /record zsre-3: the answer 'Ann' is no verdict/],
    ['a claim to a decoder', 'decoder', claim, /record fever-9: 'SUPPORTS' is the verdict on a claim/],
    ['a claim to an encoder-decoder', 'encoder-decoder', claim, /record fever-9: 'SUPPORTS' is the verdict/],
  ])('%s is refused by name', async (_, kind, example, message) => {
    await expect(tokenizeExamples(encoders, kind, [example])).rejects.toMatchObject({
      code: 'mismatch',
      message: expect.stringMatching(message),
    });
  });
});

test('batches of nothing, of empty parts and of two labels are bugs', () => {
  expect(() => claimBatch([])).toThrow(RangeError);
  expect(() => claimBatch([{ prompt: [1], answer: [0, 1] }])).toThrow(RangeError);
  expect(() => twoSidedBatch([])).toThrow(RangeError);
  expect(() => twoSidedBatch([{ prompt: [1], answer: [] }])).toThrow(RangeError);
});
