// The words of each round: every wording has its turn, the prompt itself has the last word, and the batches stay as many.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { askedInRound, askedPairs, longestWording } from '../../src/data/asked-in-round.js';
import type { TokenizedRecord } from '../../src/data/tokenized-record.js';
import type { TokenPair } from '../../src/data/tuple.js';

const ids = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });

/** Each fact's prompts begin with a number of its own, then that of the wording: 0 is the prompt itself. */
const facts = fc
  .array(fc.record({ answer: ids, prompts: fc.array(ids, { minLength: 1, maxLength: 4 }) }), {
    minLength: 1,
    maxLength: 7,
  })
  .map((all) =>
    all.map(({ answer, prompts }, fact): TokenizedRecord => {
      const pairs = prompts.map(
        (prompt, wording): TokenPair => ({ prompt: [100 + fact, 200 + wording, ...prompt], answer }),
      );
      const [edit, ...wordings] = pairs;
      const record = { id: `${fact}`, edit: { prompt: '', answer: '' }, rephrasings: [], unrelated: [] };
      return { record, edit: edit!, ...(wordings.length > 0 ? { wordings } : {}), rephrasings: [], unrelated: [] };
    }),
  );

/** Which wording of each fact a round asks. */
function wordingsOf(batches: ReturnType<ReturnType<typeof askedInRound>>): Map<number, number> {
  const asked = new Map<number, number>();
  for (const { size, tensors } of batches) {
    const width = tensors.tokenIds.shape[1]!;
    for (let row = 0; row < size; row++) {
      const [fact, wording] = tensors.tokenIds.data.subarray(row * width, row * width + 2);
      expect(asked.has(Number(fact))).toBe(false);
      asked.set(Number(fact), Number(wording) - 200);
    }
  }
  return asked;
}

test('every fact in every round once, its wordings evenly in turn, the prompt itself in the last round', () => {
  fc.assert(
    fc.property(facts, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 3 }), (records, rounds, batchSize) => {
      const inRound = askedInRound(records, { kind: 'decoder', batchSize, rounds });
      const all = Array.from({ length: rounds }, (_, round) => inRound(round));
      expect(new Set(all.map(({ length }) => length)).size).toBe(1);
      const asked = all.map(wordingsOf);
      for (const [fact, { wordings = [] }] of records.entries()) {
        const own = asked.map((round) => round.get(100 + fact)!);
        expect(own.at(-1)).toBe(0);
        const times = Array.from(
          { length: wordings.length + 1 },
          (_, wording) => own.filter((w) => w === wording).length,
        );
        expect(Math.max(...times) - Math.min(...times)).toBeLessThanOrEqual(1);
      }
    }),
  );
});

test('facts without other wordings: the same batches in every round', () => {
  const pair: TokenPair = { prompt: [1, 2], answer: [3] };
  const record = { id: 'a', edit: { prompt: '', answer: '' }, rephrasings: [], unrelated: [] };
  const inRound = askedInRound([{ record, edit: pair, rephrasings: [], unrelated: [] }], {
    kind: 'decoder',
    batchSize: 2,
    rounds: 3,
  });
  expect(inRound(0)).toBe(inRound(2));
});

test('the memory of an edit is that of its longest words', () => {
  fc.assert(
    fc.property(facts, (records) => {
      const longest = Math.max(...askedPairs(records).map(({ prompt }) => prompt.length));
      expect(Math.max(...records.map((record) => longestWording(record).prompt.length))).toBe(longest);
    }),
  );
});
