// Padded batches against the stored ones of the published code, and their properties.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readSafetensorsHeader } from '../../src/checkpoint/safetensors.js';
import { readTensor } from '../../src/checkpoint/stored-tensor.js';
import { type BatchOptions, type DecoderBatch, decoderBatch, decoderBatchFromPadded } from '../../src/data/batch.js';
import { splitIntoBatches } from '../../src/data/split-batches.js';
import { inputLength, type TokenPair, tokenizeExamples } from '../../src/data/tuple.js';
import { openTokenizer } from '../../src/tokenizer/tokenizer.js';
import { type PublishedBatch, type PublishedDataSet, publishedExamples, publishedKinds } from './published-zsre.js';
import { goldenPath, isAbsent, readJsonFile, sharedPath } from './stored-data.js';

const kind = 'decoder';
const numbers = (data: BigInt64Array | Float32Array) => Array.from(data, Number);

function fromPublished({ input_ids, attention_mask, labels }: PublishedBatch): DecoderBatch {
  return decoderBatchFromPadded({
    shape: [input_ids.length, input_ids[0]!.length],
    inputIds: input_ids.flat(),
    attentionMask: attention_mask.flat(),
    labels: labels.flat(),
  });
}

/** Prompt and answer of each sequence, read back from a batch's tensors alone. */
function readBack({ size, tensors, answerCounts }: DecoderBatch): TokenPair[] {
  const tokens = tensors.tokenIds.shape[1]!;
  const [ids, mask, rows, labels] = [tensors.tokenIds, tensors.attentionMask, tensors.answerRows, tensors.labels].map(
    ({ data }) => numbers(data),
  );
  let next = 0;
  return Array.from({ length: size }, (_, b) => {
    const [own, answer] = [rows!, labels!].map((list) => list.slice(next, next + answerCounts[b]!));
    next += answerCounts[b]!;
    const real = ids!
      .map((id, at) => ({ id, at }))
      .filter(({ at }) => Math.floor(at / tokens) === b && mask![at] === 1);
    return { prompt: real.filter(({ at }) => at <= own![0]!).map(({ id }) => id), answer: answer! };
  });
}

const gpt2 = sharedPath('data/tokenizers/gpt2');

test.skipIf(isAbsent(`${gpt2}/tokenizer.json`)).each(publishedKinds)(
  'zsRE as published, from texts: %s',
  async (published) => {
    const dataSet = readJsonFile<PublishedDataSet>(goldenPath('dataset/zsre_gpt2.json'));
    const tokenizer = await openTokenizer(gpt2);
    const pairs = await tokenizeExamples(tokenizer, 'decoder', publishedExamples(dataSet, published));
    const batches = splitIntoBatches(pairs, { kind, batchSize: dataSet.batch_size, sortByLength: true });
    expect(batches.map(({ batch }) => batch)).toEqual(dataSet.batches[published].map(fromPublished));
  },
);

describe('the batches of the published training run', async () => {
  interface StoredExample {
    readonly prompt: number[];
    readonly answer: number[];
    readonly equiv_prompt: number[];
    readonly unrel_prompt: number[];
    readonly unrel_answer: number[];
  }
  const pairOf = {
    edit: ({ prompt, answer }: StoredExample) => ({ prompt, answer }),
    equiv: ({ equiv_prompt, answer }: StoredExample) => ({ prompt: equiv_prompt, answer }),
    unrel: ({ unrel_prompt, unrel_answer }: StoredExample) => ({ prompt: unrel_prompt, answer: unrel_answer }),
  };
  const steps = readJsonFile<Record<string, StoredExample[]>>(goldenPath('malmen/gpt2/examples.json'));
  const { tensors } = await readSafetensorsHeader(goldenPath('malmen/gpt2/tuples.safetensors'));
  const stored = async (name: string) => {
    const { shape, data } = await readTensor(tensors.get(name)!);
    return { shape: shape as [number, number], data: numbers(data) };
  };
  const storedBatch = async (name: string) => {
    const [ids, mask, labels] = await Promise.all(
      ['input_ids', 'attention_mask', 'labels'].map((field) => stored(`${name}.${field}`)),
    );
    return decoderBatchFromPadded({
      shape: ids!.shape,
      inputIds: ids!.data,
      attentionMask: mask!.data,
      labels: labels!.data,
    });
  };

  test.each(Object.keys(steps))('%s', async (step) => {
    for (const part of ['edit', 'equiv', 'unrel'] as const) {
      const pairs = steps[step]!.map(pairOf[part]);
      const batches = splitIntoBatches(pairs, { kind, batchSize: 4, sortByLength: true });
      expect(batches).toHaveLength(4);
      for (const [at, { batch, indices }] of batches.entries()) {
        expect(batch).toEqual(await storedBatch(`${step}.${part}.${at}`));
        expect(readBack(batch as DecoderBatch)).toEqual(indices.map((index) => pairs[index]));
      }
    }
  });
});

describe('positions', async () => {
  const { tensors } = await readSafetensorsHeader(goldenPath('forward/gpt2.safetensors'));
  const stored = async (name: string) => numbers((await readTensor(tensors.get(name)!)).data);

  test('with left padding are those of generation, as stored', async () => {
    const shape = tensors.get('leftpos.input_ids')!.shape as [number, number];
    const [inputIds, attentionMask, labels, positionIds] = await Promise.all(
      ['input_ids', 'attention_mask', 'labels', 'position_ids'].map((field) => stored(`leftpos.${field}`)),
    );
    const padded = { shape, inputIds: inputIds!, attentionMask: attentionMask!, labels: labels! };
    const counted = decoderBatchFromPadded(padded);
    expect(numbers(counted.tensors.positions.data)).toEqual(positionIds);
    expect(decoderBatchFromPadded({ ...padded, positionIds: positionIds! })).toEqual(counted);
    expect(decoderBatch(readBack(counted), { padSide: 'left' })).toEqual(counted);
  });

  const pairs = [
    { prompt: [5, 6], answer: [7, 8] },
    { prompt: [5], answer: [9] },
  ];

  test.each<[BatchOptions, number[]]>([
    [{}, [0, 1, 2, 0, 0, 0]],
    [{ padSide: 'left' }, [0, 1, 2, 1, 1, 0]],
    [{ padSide: 'left', positions: 'from-padding' }, [0, 1, 2, 0, 1, 2]],
    [{ positions: 'from-padding' }, [0, 1, 2, 0, 1, 2]],
  ])('%j', (options, expected) => {
    expect(numbers(decoderBatch(pairs, options).tensors.positions.data)).toEqual(expected);
  });
});

const pair = fc.record({
  prompt: fc.array(fc.nat(210), { minLength: 1, maxLength: 12 }),
  answer: fc.array(fc.nat(210), { minLength: 1, maxLength: 4 }),
});
const somePairs = fc.array(pair, { minLength: 1, maxLength: 12 });
const padding = fc.record({ padSide: fc.constantFrom('left' as const, 'right' as const), padId: fc.nat(210) });

describe('decoderBatch', () => {
  test('by hand', () => {
    const pairs = [
      { prompt: [5, 6], answer: [7, 8] },
      { prompt: [1], answer: [2] },
    ];
    const { size, tensors, answerCounts } = decoderBatch(pairs, { padId: 3 });
    expect(size).toBe(2);
    expect(tensors.tokenIds.shape).toEqual([2, 3]);
    expect(numbers(tensors.tokenIds.data)).toEqual([5, 6, 7, 1, 3, 3]);
    expect(numbers(tensors.attentionMask.data)).toEqual([1, 1, 1, 1, 0, 0]);
    expect(numbers(tensors.answerRows.data)).toEqual([1, 2, 3]);
    expect(numbers(tensors.labels.data)).toEqual([7, 8, 2]);
    expect(answerCounts).toEqual([2, 1]);
  });

  test('loses nothing: every prompt and answer can be read back', () => {
    fc.assert(
      fc.property(somePairs, padding, (pairs, options) => {
        expect(readBack(decoderBatch(pairs, options))).toEqual(pairs);
      }),
    );
  });

  test('answer rows are real tokens in rising order; real positions count from 0', () => {
    fc.assert(
      fc.property(somePairs, padding, (pairs, options) => {
        const { tensors } = decoderBatch(pairs, options);
        const rows = numbers(tensors.answerRows.data);
        const mask = numbers(tensors.attentionMask.data);
        const positions = numbers(tensors.positions.data);
        expect(rows).toEqual([...new Set(rows)].sort((a, b) => a - b));
        expect(rows.every((row) => mask[row] === 1)).toBe(true);
        const real = positions.filter((_, at) => mask[at] === 1);
        expect(real).toEqual(pairs.flatMap((one) => Array.from({ length: inputLength(one, kind) }, (_, t) => t)));
        // A position beyond the tokens could be beyond the model's context.
        expect(positions.every((position) => position >= 0 && position < tensors.tokenIds.shape[1]!)).toBe(true);
      }),
    );
  });

  test('nothing to pad, an empty prompt, an empty answer, labels of another shape are bugs', () => {
    expect(() => decoderBatch([])).toThrow(RangeError);
    expect(() => decoderBatch([{ prompt: [], answer: [1] }])).toThrow(RangeError);
    expect(() => decoderBatch([{ prompt: [1], answer: [] }])).toThrow(RangeError);
    const short = { shape: [1, 2], inputIds: [1, 2], attentionMask: [1, 1], labels: [2] } as const;
    expect(() => decoderBatchFromPadded(short)).toThrow(RangeError);
  });
});

describe('splitIntoBatches', () => {
  const splitting = fc.record(
    {
      batchSize: fc.integer({ min: 1, max: 5 }),
      maxTokens: fc.integer({ min: 1, max: 40 }),
      sortByLength: fc.boolean(),
    },
    { requiredKeys: ['batchSize'] },
  );

  test('every sequence is in exactly one batch, at the place its index says', () => {
    fc.assert(
      fc.property(somePairs, splitting, (pairs, options) => {
        const batches = splitIntoBatches(pairs, { kind, ...options });
        const indices = batches.flatMap((one) => one.indices);
        expect([...indices].sort((a, b) => a - b)).toEqual(pairs.map((_, index) => index));
        for (const one of batches)
          expect(readBack(one.batch as DecoderBatch)).toEqual(one.indices.map((index) => pairs[index]));
        if (!options.sortByLength) expect(indices).toEqual(pairs.map((_, index) => index));
      }),
    );
  });

  test('no batch is larger than allowed, and none could have taken the next sequence', () => {
    fc.assert(
      fc.property(somePairs, splitting, (pairs, options) => {
        const { batchSize, maxTokens = Number.POSITIVE_INFINITY } = options;
        const batches = splitIntoBatches(pairs, { kind, ...options });
        for (const [at, { batch, indices }] of batches.entries()) {
          const tokens = batch.tensors.tokenIds.shape[1]!;
          expect(indices.length).toBeLessThanOrEqual(batchSize);
          expect(indices.length === 1 || tokens * indices.length <= maxTokens).toBe(true);
          const next = batches[at + 1]?.indices[0];
          if (next === undefined) continue;
          const grown = Math.max(tokens, inputLength(pairs[next]!, kind)) * (indices.length + 1);
          expect(indices.length === batchSize || grown > maxTokens).toBe(true);
        }
      }),
    );
  });

  test('sorted: the longest first, equal lengths in their order', () => {
    const pairs = [1, 3, 2, 3, 1].map((length) => ({ prompt: Array.from({ length }, () => 1), answer: [2] }));
    const batches = splitIntoBatches(pairs, { kind, batchSize: 2, sortByLength: true });
    expect(batches.map(({ indices }) => indices)).toEqual([[1, 3], [2, 0], [4]]);
  });

  test('nothing gives no batches', () => {
    expect(splitIntoBatches([], { kind, batchSize: 4 })).toEqual([]);
  });
});
