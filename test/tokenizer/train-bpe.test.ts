// The trainer of byte-level vocabularies against the native package's own trainer, and what its tokenizers promise.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { BPE, byteLevelPreTokenizer, Tokenizer as Native } from 'tokenizers';
import { describe, expect, test } from 'vitest';
import { parseTokenizer } from '../../src/tokenizer/tokenizer.js';
import { trainByteLevelBpe } from '../../src/tokenizer/train-bpe.js';
import { Random } from '../../src/util/random.js';
import { goldenPath, isAbsent, readJsonFile, sharedPath } from '../data/stored-data.js';

interface TokenizerFile {
  readonly model: { readonly vocab: Record<string, number>; readonly merges: readonly (readonly string[])[] };
}

const parse = (json: string) => JSON.parse(json) as TokenizerFile;

/** Texts with repeated words, and the stored strings with their many scripts and spaces. A line each. */
function someTexts(): string[] {
  const random = new Random(5);
  const syllables = ['ba', 'nol', 'é', 'str', 'ing', 'o', 'aa', 'ß', '東', 'ter', 'n', "'s", '19', '7'];
  const words = Array.from({ length: 200 }, () => [1, 2, 3].map(() => random.pick(syllables)).join(''));
  const sentences = Array.from({ length: 400 }, () => [1, 2, 3, 4, 5].map(() => random.pick(words)).join(' '));
  const golden = readJsonFile<{ cases: { text: string }[] }>(goldenPath('tokenizers/gpt2_slow.json'));
  const stored = golden.cases.flatMap(({ text }) => text.split(/[\r\n]/u)).filter((text) => !text.includes('<|end'));
  return [...sentences, ...stored, ...stored].map((text) => `${text}\n`);
}

/** All merges down to pairs that occur once, by the package's own trainer: it takes files only, and its size is fixed. */
function nativeMerges(texts: readonly string[]): readonly (readonly string[])[] {
  const folder = mkdtempSync(join(tmpdir(), 'bpe-'));
  try {
    writeFileSync(join(folder, 'texts'), texts.join(''));
    const native = new Native(BPE.empty());
    native.setPreTokenizer(byteLevelPreTokenizer(false, true));
    native.train([join(folder, 'texts')]);
    native.save(join(folder, 'tokenizer.json'));
    return parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8')).model.merges;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('merges', () => {
  const texts = someTexts();

  test("are those of the native package's trainer", () => {
    const { merges } = parse(trainByteLevelBpe(texts, 2000)).model;
    expect(merges.length).toBeGreaterThan(400);
    expect(merges).toEqual(nativeMerges(texts).slice(0, merges.length));
  });

  test('do not depend on the order of the texts', () => {
    expect(trainByteLevelBpe(new Random(1).shuffle(texts), 400)).toBe(trainByteLevelBpe(texts, 400));
  });

  test('come in a prefix of those of a larger vocabulary', () => {
    const [few, many] = [300, 400].map((size) => parse(trainByteLevelBpe(texts, size)).model.merges);
    expect(many!.slice(0, few!.length)).toEqual(few);
  });

  test('by hand: "he" and "th" are as frequent, the lower ids win; a pair seen once is left', () => {
    const { merges } = parse(trainByteLevelBpe(['the', 'the', 'xy'], 500)).model;
    expect(merges).toEqual([
      ['h', 'e'],
      ['t', 'he'],
    ]);
  });

  test('of few letters, many times over: each is a new token', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 14 });
    fc.assert(
      fc.property(fc.array(word, { maxLength: 10 }), (words) => {
        const { vocab, merges } = parse(trainByteLevelBpe([...words, ...words], 2000)).model;
        expect(Object.values(vocab).sort((a, b) => a - b)).toEqual(
          Array.from({ length: 257 + merges.length }, (_, id) => id),
        );
        expect(merges.map((merge) => vocab[merge.join('')])).toEqual(merges.map((_, at) => 257 + at));
      }),
    );
  });

  test('overlapping pairs of one symbol', () => {
    const { merges } = parse(trainByteLevelBpe(['aaaaa', 'aaaaa'], 500)).model;
    expect(merges).toEqual([
      ['a', 'a'],
      ['aa', 'a'],
      ['aa', 'aaa'],
    ]);
  });
});

describe('vocabulary', () => {
  test('end of text is 0, bytes follow, the size is reached exactly where the texts allow', () => {
    const { vocab } = parse(trainByteLevelBpe(someTexts(), 320)).model;
    expect(vocab['<|endoftext|>']).toBe(0);
    expect(Object.values(vocab).sort((a, b) => a - b)).toEqual(Array.from({ length: 320 }, (_, id) => id));
  });

  test('no texts still give every byte', async () => {
    const tokenizer = parseTokenizer(trainByteLevelBpe([], 1000), 'empty');
    expect(tokenizer.vocabularySize).toBe(257);
    expect(await tokenizer.decode(await tokenizer.encode(['né 東']))).toEqual(['né 東']);
  });

  test.each([0, 256, 300.5, Number.NaN])('a size of %d is refused', (size) => {
    expect(() => trainByteLevelBpe([], size)).toThrow(
      expect.objectContaining({ name: 'MalmenError', code: 'bad-input', message: expect.stringContaining('257') }),
    );
  });
});

test('any Unicode text comes back as it was', async () => {
  const tokenizer = parseTokenizer(trainByteLevelBpe(someTexts(), 600), 'trained');
  const text = fc.string({ unit: 'binary', maxLength: 60 }).filter((value) => !value.includes('<|endoftext|>'));
  await fc.assert(
    fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 5 }), async (texts) => {
      const lists = await tokenizer.encode(texts);
      expect(lists.flat().every((id) => id > 0 && id < tokenizer.vocabularySize)).toBe(true);
      expect(await tokenizer.decode(lists)).toEqual(texts);
    }),
    { numRuns: 200 },
  );
});

test('end of text, spelled out, is its own token', async () => {
  const tokenizer = parseTokenizer(trainByteLevelBpe(someTexts(), 300), 'trained');
  expect(tokenizer.endOfText).toBe(0);
  expect(await tokenizer.encode(['<|endoftext|>'])).toEqual([[0]]);
  expect(await tokenizer.decode([[0]])).toEqual(['']);
});

const referenceFile = sharedPath('reference/lm/tokenizer.json');

describe.skipIf(isAbsent(referenceFile))('the reference vocabulary', () => {
  test('is of the same kind: all but what was learned is equal', () => {
    const [ours, theirs] = [trainByteLevelBpe(someTexts(), 300), readFileSync(referenceFile, 'utf8')].map(parse);
    const base = ({ model }: TokenizerFile) => Object.entries(model.vocab).filter(([, id]) => id < 257);
    expect(new Map(base(ours!))).toEqual(new Map(base(theirs!)));
    const frame = (file: TokenizerFile) => ({ ...file, model: { ...file.model, vocab: {}, merges: [] } });
    expect(frame(ours!)).toEqual(frame(theirs!));
  });
});
