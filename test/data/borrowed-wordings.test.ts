// Which wordings a fact gets from known ones: of its relation, or of facts asked in the same words; never what it is judged by.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { borrowWordings } from '../../src/data/borrowed-wordings.js';
import type { EditRecord } from '../../src/data/record.js';
import { Random } from '../../src/util/random.js';

/** A fact about `subject` in frames with `@` for it, the first one its own prompt. */
function fact(subject: string, frames: readonly string[], more: Partial<EditRecord> = {}): EditRecord {
  const [prompt, ...others] = frames.map((frame) => frame.replace('@', subject));
  const rephrasings = others.map((other) => ({ prompt: other, answer: 'x' }));
  return { id: subject, subject, edit: { prompt: prompt!, answer: 'x' }, rephrasings, unrelated: [], ...more };
}

const borrow = (record: EditRecord, known: readonly EditRecord[], count = 10, seed = 1) =>
  borrowWordings([record], known, { count, random: new Random(seed) })[0]!;

const capital = ['The capital of @ is', "@'s capital is", '@ is ruled from'];
const coast = ['@ lies at', 'The sea of @ is'];

describe('with a relation', () => {
  const relation = 'capital';
  const known = [fact('France', capital, { relation }), fact('Spain', coast, { relation: 'sea' })];

  test('wordings are those of its facts, about its own subject', () => {
    const { wordings } = borrow(fact('Peru', ['Peru is governed from'], { relation }), known);
    expect(new Set(wordings)).toEqual(new Set(['The capital of Peru is', "Peru's capital is", 'Peru is ruled from']));
  });

  test('none is its own prompt, one of its rephrasings or a wording that it has; those stay first', () => {
    const given = fact('Peru', capital.slice(0, 2), { relation, wordings: ['Peru has its seat in'] });
    expect(borrow(given, known).wordings).toEqual(['Peru has its seat in', 'Peru is ruled from']);
  });

  test('at most so many are drawn, the same ones for the same seed, not always the same for another', () => {
    const draw = (seed: number) => borrow(fact('Peru', ['@ is'], { relation }), known, 1, seed).wordings!;
    const all = Array.from({ length: 20 }, (_, seed) => draw(seed));
    for (const wordings of all) expect(wordings).toHaveLength(1);
    expect(draw(3)).toEqual(draw(3));
    expect(new Set(all.flat()).size).toBe(3);
  });

  test('a subject in small letters opens a sentence only where its own prompt does', () => {
    const opened = ['@ is ruled from', 'The capital of @ is'];
    const lent = [fact('France', [...opened, 'Whoever rules @ sits in'], { relation })];
    const wordingsOf = (frame: string) => borrow(fact('the Hague', [frame], { relation }), lent).wordings;
    expect(wordingsOf('The capital of @ is')).toEqual(['Whoever rules the Hague sits in']);
    expect(wordingsOf('@ has its seat in')).toHaveLength(3);
  });

  test('another relation lends nothing, whatever its words', () => {
    const given = fact('Peru', ['The capital of @ is'], { relation: 'founder' });
    expect(borrow(given, known)).toBe(given);
  });
});

describe('without a relation', () => {
  test('facts that are asked in the same words lend theirs, where most of them have these', () => {
    const known = [fact('France', capital), fact('Spain', capital.slice(0, 2)), fact('Rome', coast)];
    expect(borrow(fact('Peru', ['The capital of @ is']), known).wordings).toEqual(["Peru's capital is"]);
  });

  test('words that belong to facts of several kinds lend nothing', () => {
    const known = [fact('A', ['@ is in', '@ is on the continent of']), fact('B', ['@ is in', '@ is a street of'])];
    const given = fact('Peru', ['@ is in']);
    expect(borrow(given, known)).toBe(given);
  });
});

test('a record that does not name its subject in its prompt stays as it is', () => {
  const known = [fact('France', capital)];
  const { subject: _, ...nameless } = fact('Peru', ['The capital of @ is']);
  expect(borrow(nameless, known)).toBe(nameless);
  const elsewhere = { ...fact('Peru', ['The capital of @ is']), subject: 'Chile' };
  expect(borrow(elsewhere, known)).toBe(elsewhere);
});

test('every wording is a known prompt about another subject, and none is asked of the record', () => {
  const name = fc.stringMatching(/^[A-Z][a-z]{3,6}$/);
  const frames = fc.uniqueArray(fc.constantFrom(...capital, ...coast, '@ has', 'Of @ it is said that'), {
    minLength: 1,
    maxLength: 5,
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, frames), { maxLength: 6 }),
      name,
      frames,
      fc.boolean(),
      (facts, own, asked, related) => {
        const more = related ? { relation: 'one' } : {};
        const known = facts.map(([subject, of]) => fact(subject, of, more));
        const record = fact(own, asked, more);
        const { wordings = [] } = borrow(record, known);
        const lent = new Set(facts.flatMap(([, of]) => of.map((frame) => frame.replace('@', own))));
        for (const wording of wordings) {
          expect(lent.has(wording)).toBe(true);
          expect([record.edit.prompt, ...record.rephrasings.map(({ prompt }) => prompt)]).not.toContain(wording);
        }
        expect(new Set(wordings).size).toBe(wordings.length);
      },
    ),
  );
});
