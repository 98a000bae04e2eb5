// Where generated answers end, by example and by properties.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutAtNaturalStop, hasNaturalStop, normalizeAnswer } from '../../src/tokenizer/stop.js';

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.constantFrom('St', 'U', 'Paris', '.', '.', ' ', '\n', '3')).map((parts) => parts.join('')),
);

describe('cutAtNaturalStop', () => {
  test.each([
    [' Paris', ' Paris'],
    [' Paris\nThe next', ' Paris'],
    ['\n\nParis', ''],
    ['', ''],
    [' Paris. It is', ' Paris'],
    [' Paris.', ' Paris'],
    [' Paris.\nIt', ' Paris'],
    [' 3.5 million. It', ' 3.5 million'],
    [' example.org is', ' example.org is'],
    [' St. Louis. It is', ' St. Louis'],
    [' Mt. Everest. It', ' Mt. Everest'],
    [' Dr. Smith. He', ' Dr. Smith'],
    [' J. R. R. Tolkien. He', ' J. R. R. Tolkien'],
    [' É. Zola. He', ' É. Zola'],
    [' U.S. Virgin Islands. They', ' U.S. Virgin Islands'],
    [' the U.S.', ' the U.S.'],
    [' 8 a.m. to 5 p.m.\nOpen', ' 8 a.m. to 5 p.m.'],
    [' São Tomé. It', ' São Tomé'],
  ])('%j gives %j', (generated, expected) => {
    expect(cutAtNaturalStop(generated)).toBe(expected);
  });

  test('is a prefix, on one line, and has nothing more to cut', () => {
    fc.assert(
      fc.property(text, (value) => {
        const cut = cutAtNaturalStop(value);
        expect(value.startsWith(cut)).toBe(true);
        expect(cut).not.toContain('\n');
        expect(cutAtNaturalStop(cut)).toBe(cut);
      }),
    );
  });
});

describe('hasNaturalStop', () => {
  test.each([
    [' Paris', false],
    [' Paris.', false],
    [' Paris. ', true],
    [' Paris\n', true],
    [' St. Louis', false],
  ])('%j: %j', (generated, expected) => {
    expect(hasNaturalStop(generated)).toBe(expected);
  });

  test('then whatever is generated after it changes nothing', () => {
    fc.assert(
      fc.property(text.filter(hasNaturalStop), text, (value, more) => {
        expect(cutAtNaturalStop(value + more)).toBe(cutAtNaturalStop(value));
      }),
    );
  });
});

describe('normalizeAnswer', () => {
  test.each([
    [' Paris ', 'Paris'],
    ['New \t York', 'New York'],
    ['Paris.', 'Paris'],
    ['Paris .', 'Paris'],
    ['the U.S.', 'the U.S'],
    ['Paris..', 'Paris.'],
    ['paris', 'paris'],
    ['.', ''],
    ['', ''],
  ])('%j gives %j', (answer, expected) => {
    expect(normalizeAnswer(answer)).toBe(expected);
  });

  test('an answer that was generated, however it was closed, is the same answer', () => {
    for (const answer of ['St. Louis', 'the U.S.', 'Apple Inc.', '3.5', 'Hugo  Weaving']) {
      for (const after of ['', '.', '\nThe', '.\nThe']) {
        const generated = ` ${answer.replace(/\.$/, '')}${after}`;
        expect(normalizeAnswer(cutAtNaturalStop(generated)), JSON.stringify(generated)).toBe(normalizeAnswer(answer));
      }
    }
  });
});
