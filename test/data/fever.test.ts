// FEVER's two layouts, made-up and real, and what is said of rows that fit neither.

import { describe, expect, test } from 'vitest';
import { framedClaim } from '../../src/data/claim-rephrasings.js';
import { readRecords } from '../../src/data/spec.js';
import { isAbsent, sharedPath } from './stored-data.js';
import { temporaryFiles } from './temporary-files.js';

const write = temporaryFiles();

const published = {
  prompt: 'Stephen Moyer is an actor.',
  equiv_prompt: ['An actor is what Stephen Moyer is.', 'Stephen Moyer acts.'],
  unrel_prompt: 'X-Men: Apocalypse is a film.',
  alt: 'REFUTES',
  unrel_ans: 'SUPPORTS',
  extra: 1,
};

describe('the published layout', () => {
  const record = {
    id: 'fever-1',
    edit: { prompt: 'Stephen Moyer is an actor.', answer: 'REFUTES' },
    rephrasings: published.equiv_prompt.map((prompt) => ({ prompt, answer: 'REFUTES' })),
    unrelated: [{ prompt: 'X-Men: Apocalypse is a film.', answer: 'SUPPORTS' }],
  };

  test('as a list and as lines', async () => {
    expect(await readRecords(`fever:${write('list.json', JSON.stringify([published]))}`)).toEqual([record]);
    expect(await readRecords(`fever:${write('lines.jsonl', JSON.stringify(published))}`)).toEqual([record]);
  });

  test('one rephrasing need not be a list', async () => {
    const row = { ...published, id: 7, equiv_prompt: 'Stephen Moyer acts.' };
    const [read] = await readRecords(`fever:${write('one.json', JSON.stringify([row]))}`);
    expect(read).toMatchObject({ id: '7', rephrasings: [{ prompt: 'Stephen Moyer acts.', answer: 'REFUTES' }] });
  });

  test.each([
    [{ ...published, alt: 'yes' }, /list\.json: record 1: alt: expected REFUTES or SUPPORTS/],
    [{ ...published, unrel_prompt: undefined }, /record 1: unrel_prompt/],
  ])('%j is refused', async (row, message) => {
    const path = write('list.json', JSON.stringify([row]));
    await expect(readRecords(`fever:${path}`)).rejects.toThrow(message);
  });
});

describe('claims with labels', () => {
  const claim = (id: number, label: string) => JSON.stringify({ id, label, claim: `Claim ${id} holds.`, evidence: [] });

  test('two make a record; claims without enough information are left out', async () => {
    const rows = [claim(1, 'SUPPORTS'), claim(2, 'NOT ENOUGH INFO'), claim(3, 'REFUTES'), claim(4, 'REFUTES')];
    const records = await readRecords(`fever:${write('dev.jsonl', rows.join('\n'))}`);
    const { rephrasings, wordings } = framedClaim('Claim 1 holds.', 1);
    expect(records).toEqual([
      {
        id: '1',
        edit: { prompt: 'Claim 1 holds.', answer: 'REFUTES' },
        wordings,
        rephrasings: rephrasings.map((prompt) => ({ prompt, answer: 'REFUTES' })),
        rephrasedBy: 'rule',
        unrelated: [
          { prompt: 'Claim 3 holds.', answer: 'REFUTES', wordings: framedClaim('Claim 3 holds.', 3).wordings },
        ],
        was: 'SUPPORTS',
      },
    ]);
  });

  test('another label names the line', async () => {
    const path = write('dev.jsonl', claim(1, 'MAYBE'));
    await expect(readRecords(`fever:${path}`)).rejects.toThrow(
      /dev\.jsonl:1: label: expected REFUTES, SUPPORTS or NOT/,
    );
  });
});

test('a framed claim is another text that holds the claim; two frames in turn are kept from the edit', () => {
  const judged = new Set<string>();
  let before: readonly string[] = [];
  for (let place = 0; place < 6; place++) {
    const { rephrasings, wordings } = framedClaim('Mr. $& is tall.', place);
    expect([rephrasings.length, wordings.length]).toEqual([2, 4]);
    const all = [...rephrasings, ...wordings];
    expect(new Set(all).size).toBe(6);
    for (const text of all) {
      expect(text).toContain('Mr. $& is tall');
      expect(text).not.toBe('Mr. $& is tall.');
    }
    for (const text of rephrasings) {
      judged.add(text);
      expect(before).not.toContain(text);
    }
    before = rephrasings;
  }
  expect(judged.size).toBe(6);
});

const real = sharedPath('data/fever/paper_dev.jsonl.gz');

test.skipIf(isAbsent(real))(
  'the real claims: a third has no verdict, no claim is edited and unrelated at once',
  async () => {
    const records = await readRecords(`fever:${real}`);
    expect(records.length).toBeGreaterThan(3000);
    const edited = new Set(records.map(({ edit }) => edit.prompt));
    const both = records.flatMap(({ unrelated }) => unrelated).filter(({ prompt }) => edited.has(prompt));
    expect(both).toEqual([]);
  },
);
