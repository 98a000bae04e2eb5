// Token ids of examples against the published data set's, and the errors that name the record.

import { describe, expect, test } from 'vitest';
import { assertFitsContext, inputLength, type TextEncoders, tokenizeExamples } from '../../src/data/tuple.js';
import { openTokenizer } from '../../src/tokenizer/tokenizer.js';
import { type PublishedDataSet, publishedExamples, publishedKinds } from './published-zsre.js';
import { goldenPath, isAbsent, readJsonFile, sharedPath } from './stored-data.js';

/** One id per character: what was encoded can be read off the ids. Prompts start with `^`. */
const letters = (texts: readonly string[]) => texts.map((text) => Array.from(text, (char) => char.codePointAt(0)!));
const spell: TextEncoders = {
  encodePrompts: async (texts) => letters(texts.map((text) => `^${text}`)),
  encodeAnswers: async (texts) => letters(texts.map((text) => ` ${text.trim()}`)),
  encodeInput: async (texts) => letters(texts.map((text) => `^${text}$`)),
};
const unspell = (ids: readonly number[]) => String.fromCodePoint(...ids);

const gpt2 = sharedPath('data/tokenizers/gpt2');

describe.skipIf(isAbsent(`${gpt2}/tokenizer.json`))('the published zsRE tuples', () => {
  const dataSet = readJsonFile<PublishedDataSet>(goldenPath('dataset/zsre_gpt2.json'));

  test.each(publishedKinds)('%s: input is prompt + answer[:-1], labels are the answer', async (kind) => {
    const pairs = await tokenizeExamples(await openTokenizer(gpt2), 'decoder', publishedExamples(dataSet, kind));
    expect(pairs).toHaveLength(5);
    for (const [at, { prompt, answer }] of pairs.entries()) {
      const { input_ids, labels } = dataSet.items[at]![kind];
      expect([...prompt, ...answer.slice(0, -1)]).toEqual(input_ids[0]);
      expect([...prompt.slice(1).map(() => -100), ...answer]).toEqual(labels[0]);
    }
  });
});

describe('tokenizeExamples', () => {
  test.each([
    ['Who?', 'A'],
    ['Who? ', ' A'],
    ['Who?\n', '  A \n'],
  ])('%j and %j: no space after the prompt, one before the answer', async (prompt, answer) => {
    const [pair] = await tokenizeExamples(spell, 'decoder', [{ prompt, answer, recordId: '1' }]);
    expect(unspell(pair!.prompt)).toBe('^Who?');
    expect(unspell(pair!.answer)).toBe(' A');
  });

  test('many examples keep their order', async () => {
    const examples = ['x', 'y', 'z'].map((prompt) => ({ prompt, answer: prompt.toUpperCase(), recordId: prompt }));
    const pairs = await tokenizeExamples(spell, 'decoder', examples);
    expect(pairs.map(({ prompt, answer }) => unspell([...prompt, ...answer]))).toEqual(['^x X', '^y Y', '^z Z']);
  });

  test.each([
    ['prompt', '', 'A'],
    ['prompt', ' \n', 'A'],
    ['answer', 'Who?', ''],
    ['answer', 'Who?', '  '],
  ])('an empty %s names the record (%j, %j)', async (part, prompt, answer) => {
    const examples = [
      { prompt: 'Who?', answer: 'A', recordId: 'fine' },
      { prompt, answer, recordId: 'zsre-17' },
    ];
    await expect(tokenizeExamples(spell, 'decoder', examples)).rejects.toMatchObject({
      name: 'MalmenError',
      code: 'bad-input',
      message: expect.stringMatching(`record zsre-17: the ${part} is empty`),
    });
  });

  test('a tokenizer that makes nothing of a text is an error too', async () => {
    const mute = async (texts: readonly string[]) => texts.map(() => []);
    const encoders = { encodePrompts: mute, encodeAnswers: mute, encodeInput: mute };
    await expect(
      tokenizeExamples(encoders, 'decoder', [{ prompt: 'Who?', answer: 'A', recordId: '9' }]),
    ).rejects.toThrow(/record 9/);
  });
});

describe('assertFitsContext', () => {
  const pair = { prompt: [1, 2, 3], answer: [4, 5] };

  test('the last answer token is never read', () => {
    expect(inputLength(pair, 'decoder')).toBe(4);
    expect(() => assertFitsContext(pair, { kind: 'decoder', contextTokens: 4 }, '1')).not.toThrow();
  });

  test('longer is an error with record, length and limit', () => {
    expect(() => assertFitsContext(pair, { kind: 'decoder', contextTokens: 3 }, 'fact-3')).toThrow(
      expect.objectContaining({ code: 'bad-input', message: expect.stringMatching(/fact-3.* 4 .* 3/) }),
    );
  });
});
