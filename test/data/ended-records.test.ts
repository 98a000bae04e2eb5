import { describe, expect, test } from 'vitest';
import { withEnds } from '../../src/data/ended-records.js';
import type { TokenizedRecord } from '../../src/data/tokenized-record.js';

const pair = (...answer: number[]) => ({ prompt: [1, 2], answer });

const record: TokenizedRecord = {
  record: { id: 'one', edit: { prompt: 'a', answer: 'b' }, rephrasings: [], unrelated: [] },
  edit: pair(3),
  wordings: [pair(3)],
  rephrasings: [pair(3), pair(3)],
  unrelated: [pair(4, 5)],
  was: [6],
};

describe('the end of an answer', () => {
  test('follows what is edited and what was true, in all words, and nothing that must stay', () => {
    expect(withEnds([record], 0, { kind: 'decoder', contextTokens: 8 })).toEqual([
      {
        ...record,
        edit: pair(3, 0),
        wordings: [pair(3, 0)],
        rephrasings: [pair(3, 0), pair(3, 0)],
        unrelated: [pair(4, 5)],
        was: [6, 0],
      },
    ]);
  });

  test('makes no parts that a record has not', () => {
    const { wordings: _, was: __, ...bare } = record;
    const [ended] = withEnds([bare], 0, { kind: 'decoder', contextTokens: 8 });
    expect(ended).not.toHaveProperty('wordings');
    expect(ended).not.toHaveProperty('was');
  });

  test('must fit the context, too: a record that does not is named', () => {
    expect(() => withEnds([record], 0, { kind: 'decoder', contextTokens: 2 })).toThrow(
      /record one.*3 tokens.*at most 2/,
    );
  });
});
