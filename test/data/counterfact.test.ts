// CounterFact in its two layouts, made up and real.

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { readRecords } from '../../src/data/spec.js';
import { isAbsent, sharedPath } from './stored-data.js';
import { fixturePath, messageOf, temporaryFiles } from './temporary-files.js';

const write = temporaryFiles();

describe('the flat layout', () => {
  test('prompt, rephrasing and unrelated fact', async () => {
    const records = await readRecords(`counterfact:${fixturePath('counterfact-flat.json')}`);
    expect(records.map(({ id }) => id)).toEqual([10, 11, 14, 15, 21].map((id) => `counterfact-${id}`));
    expect(records[1]).toEqual({
      id: 'counterfact-11',
      subject: 'Mount Ketter',
      was: 'Hult',
      edit: { prompt: 'Mount Ketter is located in', answer: 'Besk' },
      rephrasings: [{ prompt: 'Mount Ketter can be seen in', answer: 'Besk' }],
      unrelated: [{ prompt: 'Mount Aus is located in', answer: 'Hult' }],
    });
  });

  test('a missing field', async () => {
    const [row, other] = JSON.parse(readFileSync(fixturePath('counterfact-flat.json'), 'utf8')) as object[];
    const bad = write('a.json', JSON.stringify([row, { ...other, target_new: undefined, 'target-new': 'Besk' }]));
    const problem = "target_new: expected text, got nothing; there is 'target-new', is it misspelt?";
    expect(await messageOf(readRecords(`counterfact:${bad}`))).toContain(`${bad}: record 2: ${problem}\n`);
  });
});

describe('the original layout', () => {
  const path = fixturePath('counterfact-native.json');

  test('paraphrases get the new answer, neighbours keep the true one; a subject is taken as it is written', async () => {
    const records = await readRecords(`counterfact:${path}`);
    expect(records[0]).toEqual({
      id: 'counterfact-7',
      subject: 'Cash $& Sons',
      relation: 'P19',
      was: 'Quen',
      edit: { prompt: 'Cash $& Sons originates from', answer: 'Tolm' },
      rephrasings: [
        { prompt: 'It rained. Cash $& Sons is native to', answer: 'Tolm' },
        { prompt: 'Cash $& Sons was born in', answer: 'Tolm' },
      ],
      unrelated: [
        { prompt: 'Tam Reyl originates from', answer: 'Quen' },
        { prompt: 'Pell Arno was born in', answer: 'Quen' },
        { prompt: 'Ilse Vond is native to', answer: 'Quen' },
      ],
    });
    expect(records[2]).toMatchObject({ rephrasings: [], unrelated: [] });
    expect(records[3]!.edit.prompt).toBe('Where is Mount Ketter? Mount Ketter is in');
    expect(records[3]).not.toHaveProperty('relation');
    expect(records.map(({ id }) => id).slice(3)).toEqual(['counterfact-4', 'counterfact-x-2']);
  });

  const rewrite = { prompt: '{} is', subject: 'Orlin', target_new: { str: 'Tolm' }, target_true: { str: 'Quen' } };
  const row = { requested_rewrite: rewrite, paraphrase_prompts: ['a'], neighborhood_prompts: ['b'] };

  test.each<[object, string]>([
    [{ ...row, requested_rewrite: 'x' }, 'requested_rewrite: expected an object, got "x"'],
    [
      { ...row, requested_rewrite: { ...rewrite, target_new: 'Tolm' } },
      'requested_rewrite.target_new: expected an object, got "Tolm"',
    ],
    [
      { ...row, requested_rewrite: { ...rewrite, target_true: { str: '' } } },
      'requested_rewrite.target_true.str: expected text, got ""',
    ],
    [
      { ...row, requested_rewrite: { ...rewrite, prompt: 'It is' } },
      `requested_rewrite.prompt: expected '{}' where the subject belongs, got "It is"`,
    ],
    [{ ...row, paraphrase_prompts: ['a', ''] }, 'paraphrase_prompts.1: expected text, got ""'],
    [{ ...row, neighborhood_prompts: undefined }, 'neighborhood_prompts: expected a list, got nothing'],
  ])('%j', async (bad, problem) => {
    const file = write('a.json', JSON.stringify([bad]));
    expect(await messageOf(readRecords(`counterfact:${file}`))).toContain(`${file}: record 1: ${problem}\n`);
  });
});

interface Row {
  readonly case_id: number;
  readonly prompt: string;
  readonly target_new: string;
  readonly paraphrase_prompts: readonly string[];
  readonly neighborhood_prompts: readonly string[];
}

const unpack = (path: string) => JSON.parse(gunzipSync(readFileSync(path)).toString('utf8')) as Row[];

describe('the real files', () => {
  test.skipIf(isAbsent(sharedPath('data/counterfact'))).each([
    ['train-10k.json.gz', 9926],
    ['edit-10k.json.gz', 9921],
  ])('%s: %d records of 10,000 do not contradict one before', async (name, count) => {
    const path = sharedPath('data/counterfact', name);
    const rows = unpack(path);
    const first = new Map<string, string>();
    for (const { prompt, target_new } of rows) if (!first.has(prompt)) first.set(prompt, target_new);
    const consistent = rows.filter(({ prompt, target_new }) => first.get(prompt) === target_new);
    expect([rows.length, consistent.length]).toEqual([10_000, count]);
    const records = await readRecords(`counterfact!:${path}`);
    expect(records.map(({ id, edit }) => [id, edit.prompt, edit.answer])).toEqual(
      consistent.map(({ case_id, prompt, target_new }) => [`counterfact-${case_id}`, prompt, target_new]),
    );
    expect(await messageOf(readRecords(`counterfact:${path}`))).toMatch(`${10_000 - count} problems`);
  });

  const native = sharedPath('data/counterfact/native-500.json.gz');

  test.skipIf(isAbsent(native))(
    'native-500.json.gz: 500 records with all their paraphrases and neighbours',
    async () => {
      const records = await readRecords(`counterfact:${native}`);
      expect(records).toHaveLength(500);
      expect(records[0]).toMatchObject({
        id: 'counterfact-4482',
        relation: 'P19',
        was: 'London',
        edit: { prompt: 'Spike Hughes originates from', answer: 'Philadelphia' },
      });
      expect(records[0]!.unrelated[1]).toEqual({ prompt: 'William Hogarth originated from', answer: 'London' });
      expect(records.map(({ rephrasings, unrelated }) => [rephrasings.length, unrelated.length])).toEqual(
        unpack(native).map((row) => [row.paraphrase_prompts.length, row.neighborhood_prompts.length]),
      );
    },
  );
});
