import { describe, expect, test } from 'vitest';
import { type Excluded, madeUpPrompts, type Vocabulary } from '../../src/data/made-up-prompts.js';
import type { EditRecord } from '../../src/data/record.js';
import { Random } from '../../src/util/random.js';

const tokens = ['<end>', ' Ka', 'ro', '!', ' Lim', 'ba', '\ufffd', ' ', 'x1'];

/** Decodes as byte-level vocabularies do: words keep the space in front of them. */
const vocabulary: Vocabulary = {
  vocabularySize: tokens.length,
  decode: async (lists) => lists.map((ids) => ids.map((id) => tokens[id]!).join('')),
};

const record = (more: Partial<EditRecord> = {}): EditRecord => ({
  id: 'one',
  subject: 'Paris',
  edit: { prompt: 'Paris lies in', answer: 'Spain' },
  wordings: ['Who knows Paris? It is in'],
  rephrasings: [
    { prompt: 'The country of Paris is', answer: 'Spain' },
    { prompt: 'It lies in', answer: 'Spain' },
  ],
  unrelated: [{ prompt: 'Rome lies in', answer: 'Italy' }],
  ...more,
});

const nothing: Excluded = { prompts: new Set(), subjects: new Set() };

const draw = (
  records: readonly EditRecord[],
  { except = nothing, seed = 1 }: { except?: Excluded; seed?: number } = {},
) => madeUpPrompts(records, vocabulary, { count: 200, except, random: new Random(seed) });

describe('prompts about made-up subjects', () => {
  test('are the prompts of the record, with words of the vocabulary for its subject', async () => {
    const prompts = await draw([record()]);
    const frame = /^(?:(.*) lies in|Who knows (.*)\? It is in|The country of (.*) is)$/;
    const names = prompts.map((prompt) => frame.exec(prompt)?.slice(1).find(Boolean));
    for (const name of names) expect(name).toMatch(/^(Ka|Lim)( Ka| Lim|ro|ba|x1){0,2}$/);
    expect(new Set(prompts.map((prompt) => prompt.replace(/Ka|Lim|ro|ba|x1| (?=Ka|Lim)/g, ''))).size).toBe(3);
    expect(names.some((name) => name === 'Ka')).toBe(true);
    expect(new Set(prompts).size).toBe(prompts.length);
  });

  test('begin with any word where the vocabulary does not tell which ones begin', async () => {
    const bare: Vocabulary = {
      ...vocabulary,
      decode: async (lists) => (await vocabulary.decode(lists)).map((text) => text.trim()),
    };
    const prompts = await madeUpPrompts([record({ wordings: [], rephrasings: [] })], bare, {
      count: 100,
      except: nothing,
      random: new Random(1),
    });
    expect(prompts).toContain('ba lies in');
  });

  test('are never what they must not be', async () => {
    const all = await draw([record()]);
    const except = { ...nothing, prompts: new Set(all.slice(0, 5)) };
    expect(await draw([record()], { except })).toEqual(all.slice(5));
    const others = await draw([record()], { except: { ...nothing, subjects: new Set(['Ka']) } });
    expect(others.length).toBeGreaterThan(50);
    expect(all).toContain('Ka lies in');
    expect(others).not.toContain('Ka lies in');
    expect(others).not.toContain('The country of Ka is');
  });

  test('are the same for the same seed alone', async () => {
    expect(await draw([record()])).toEqual(await draw([record()]));
    expect(await draw([record()], { seed: 2 })).not.toEqual(await draw([record()]));
  });

  test('there are none where no prompt names its subject', async () => {
    const nameless = record();
    const { subject: _, ...without } = nameless;
    expect(await draw([without, record({ subject: 'London' })])).toEqual([]);
  });
});
