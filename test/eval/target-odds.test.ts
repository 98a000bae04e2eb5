// The metrics of CounterFact against plain float64 arithmetic on a model's own logits, and against cases counted by hand.

import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decoderBatch } from '../../src/data/batch.js';
import type { TokenPair } from '../../src/data/tuple.js';
import { predictPairs } from '../../src/eval/predict.js';
import { type FactOdds, factOdds, hasTruth, oddsPairs, summarizeOdds } from '../../src/eval/target-odds.js';
import { type EditableModel, LanguageModel, type TensorOf, type TokenizedRecord } from '../../src/index.js';
import { root } from '../house/source-files.js';

let model: LanguageModel;
let editable: EditableModel;

beforeAll(async () => {
  model = await LanguageModel.open(join(root, 'test/fixtures/golden/models/gpt2'), { inThread: true, threads: 1 });
  editable = await model.editing([]);
});
afterAll(() => model.close());

/** A record of made-up ids: the stored model has no tokenizer. */
function record(
  id: string,
  edit: TokenPair,
  was: readonly number[],
  more: Partial<TokenizedRecord> = {},
): TokenizedRecord {
  const text = { id, edit: { prompt: id, answer: id }, rephrasings: [], unrelated: [], was: id };
  return { record: text, edit, was, rephrasings: [], unrelated: [], ...more };
}

const records = [
  record('one', { prompt: [5, 17, 40], answer: [101] }, [77, 8], {
    rephrasings: [
      { prompt: [9, 9, 3, 1], answer: [101] },
      { prompt: [2], answer: [101] },
    ],
    unrelated: [{ prompt: [14, 60], answer: [77, 8] }],
  }),
  record('two', { prompt: [12, 3], answer: [77, 78, 79] }, [4]),
].filter(hasTruth);

/** Mean log-probability per token, from the logits of one sequence in float64: no loss of the program is used. */
async function plain(prompt: readonly number[], answer: readonly number[]): Promise<number> {
  const frozen = await editable.freeze(decoderBatch([{ prompt, answer }]));
  const logits = await editable.logits(frozen, editable.base);
  const { data, shape } = await model.runtime.download<TensorOf<'f32'>>(logits);
  model.runtime.release(logits);
  editable.releaseFrozen(frozen);
  let sum = 0;
  for (const [at, token] of answer.entries()) {
    const row = Array.from(data.subarray(at * shape[1]!, (at + 1) * shape[1]!));
    sum += row[token]! - Math.log(row.reduce((total, value) => total + Math.exp(value), 0));
  }
  return sum / answer.length;
}

test('the odds of every prompt are those of the logits', async () => {
  const pairs = oddsPairs(records);
  const predictions = await predictPairs(editable, [editable.base], pairs, { batch: 3 });
  const rows = factOdds(
    records,
    predictions.map(([one]) => one!),
  );
  expect(rows.map(({ rephrasings, unrelated }) => [rephrasings.length, unrelated.length])).toEqual([
    [2, 1],
    [0, 0],
  ]);
  for (const [at, { edit, rephrasings, unrelated, was }] of records.entries()) {
    const row = rows[at]!;
    for (const [pair, odds] of [edit, ...rephrasings].map(
      (one, i) => [one, [row.edit, ...row.rephrasings][i]!] as const,
    )) {
      expect(odds.answer).toBeCloseTo(await plain(pair.prompt, edit.answer), 5);
      expect(odds.was).toBeCloseTo(await plain(pair.prompt, was), 5);
    }
    for (const [i, { prompt, answer }] of unrelated.entries()) {
      expect(row.unrelated[i]!.answer).toBeCloseTo(await plain(prompt, edit.answer), 5);
      expect(row.unrelated[i]!.was).toBeCloseTo(await plain(prompt, answer), 5);
    }
  }
});

const log = Math.log;

describe('the means', () => {
  const row = (more: Partial<FactOdds> = {}): FactOdds => ({
    edit: { answer: log(0.5), was: log(0.25) },
    rephrasings: [],
    unrelated: [],
    ...more,
  });

  test('counted by hand', () => {
    const rows = [
      row({
        rephrasings: [
          { answer: log(0.1), was: log(0.4) },
          { answer: log(0.6), was: log(0.2) },
        ],
        unrelated: [{ answer: log(0.1), was: log(0.3) }],
      }),
      row({ edit: { answer: log(0.125), was: log(0.25) }, unrelated: [{ answer: log(0.2), was: log(0.1) }] }),
    ];
    const scores = summarizeOdds(rows);
    expect(scores.facts).toBe(2);
    expect([scores.efficacy, scores.paraphrase, scores.neighbourhood]).toEqual([0.5, 0.5, 0.5]);
    expect(scores.efficacyMagnitude).toBeCloseTo((0.25 - 0.125) / 2, 12);
    expect(scores.paraphraseMagnitude).toBeCloseTo((-0.3 + 0.4) / 2, 12);
    expect(scores.neighbourhoodMagnitude).toBeCloseTo((0.2 - 0.1) / 2, 12);
    expect(scores.score).toBeCloseTo(0.5, 12);
  });

  test('what no record has is absent; a share of nothing makes the score nothing', () => {
    expect(summarizeOdds([row()])).toEqual({ facts: 1, efficacy: 1, efficacyMagnitude: expect.closeTo(0.25, 12) });
    const never = [{ answer: log(0.1), was: log(0.2) }];
    expect(summarizeOdds([row({ rephrasings: never, unrelated: never })])).toMatchObject({
      paraphrase: 0,
      neighbourhood: 1,
      score: 0,
    });
    expect(() => summarizeOdds([])).toThrow(RangeError);
  });

  test('swapping the answers swaps success and failure, and turns the magnitudes round', () => {
    const odds = fc
      .record({
        answer: fc.double({ min: -20, max: -1e-3, noNaN: true }),
        was: fc.double({ min: -20, max: -1e-3, noNaN: true }),
      })
      .filter(({ answer, was }) => answer !== was);
    const full = fc.record({
      edit: odds,
      rephrasings: fc.array(odds, { minLength: 1, maxLength: 3 }),
      unrelated: fc.array(odds, { minLength: 1, maxLength: 3 }),
    });
    const swap = ({ answer, was }: FactOdds['edit']) => ({ answer: was, was: answer });
    fc.assert(
      fc.property(fc.array(full, { minLength: 1, maxLength: 5 }), (rows) => {
        const [as, turned] = [
          summarizeOdds(rows),
          summarizeOdds(
            rows.map(({ edit, rephrasings, unrelated }) => ({
              edit: swap(edit),
              rephrasings: rephrasings.map(swap),
              unrelated: unrelated.map(swap),
            })),
          ),
        ];
        for (const key of ['efficacy', 'paraphrase', 'neighbourhood'] as const)
          expect(as[key]! + turned[key]!).toBeCloseTo(1, 9);
        for (const key of ['efficacyMagnitude', 'paraphraseMagnitude', 'neighbourhoodMagnitude'] as const)
          expect(as[key]! + turned[key]!).toBeCloseTo(0, 9);
        const shares = [as.efficacy, as.paraphrase!, as.neighbourhood!];
        expect(as.score!).toBeLessThanOrEqual(Math.min(...shares) * 3);
        expect(as.score!).toBeLessThanOrEqual(Math.max(...shares) + 1e-12);
      }),
    );
  });
});
