// A capture at the answers takes batches whose answers are runs of tokens, of every kind of model; a gap is refused.

import { expect, test } from 'vitest';
import { decoderBatchFromPadded } from '../../src/data/batch.js';
import { makeBatch } from '../../src/data/split-batches.js';
import { assertAnswersFollow } from '../../src/engine/model-batch.js';
import type { ModelKind } from '../../src/util/model-kind.js';

const none = -100;

function decoder(labels: readonly number[]) {
  const inputIds = labels.map((_, at) => at + 1);
  return decoderBatchFromPadded({
    shape: [2, labels.length / 2],
    inputIds,
    attentionMask: inputIds.map(() => 1),
    labels,
  });
}

test.each<[ModelKind]>([['decoder'], ['classifier'], ['encoder-decoder']])('what a %s is asked', (kind) => {
  const answers = kind === 'classifier' ? [[1], [0]] : [[4, 5, 6], [7]];
  const batch = makeBatch(
    kind,
    answers.map((answer, at) => ({ prompt: [at + 1, 2, 3], answer })),
  );
  expect(() => assertAnswersFollow(batch)).not.toThrow();
});

test('answers that end one sequence and begin the next', () => {
  expect(() => assertAnswersFollow(decoder([none, none, 3, 4, 5, none]))).not.toThrow();
  expect(() => assertAnswersFollow(decoder([1, none, none, none, none, 2]))).not.toThrow();
});

test('a gap names its sequence', () => {
  expect(() => assertAnswersFollow(decoder([none, 2, 3, 4, none, 6]))).toThrow('sequence 1 have a gap');
});
