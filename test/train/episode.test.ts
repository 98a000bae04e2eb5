// What a training step draws of a fact that is told in several wordings: each of its prompts may be edited or asked again.

import { describe, expect, test } from 'vitest';
import { knownPairs } from '../../src/data/known-pairs.js';
import type { TokenizedRecord } from '../../src/data/tokenized-record.js';
import type { TokenPair } from '../../src/data/tuple.js';
import { EpisodeSampler } from '../../src/train/episode.js';

const asked = (prompt: number): TokenPair => ({ prompt: [prompt], answer: [9] });
const fact: TokenizedRecord = {
  record: { id: 'a', edit: { prompt: '', answer: '' }, rephrasings: [], unrelated: [] },
  edit: asked(1),
  wordings: [asked(2), asked(3)],
  rephrasings: [asked(4)],
  unrelated: [],
  was: [8],
};

function drawn(redraw: boolean, part: 'edits' | 'rephrasings'): number[] {
  const sampler = new EpisodeSampler([fact], { seed: 1, edits: 1, redraw });
  const prompts = Array.from({ length: 60 }, (_, step) => sampler.draw(step)[part][0]!.prompt[0]!);
  return [...new Set(prompts)].sort();
}

describe('a fact with two wordings and a rephrasing', () => {
  test('is edited in its own prompt, and asked again in any other', () => {
    expect(drawn(false, 'edits')).toEqual([1]);
    expect(drawn(false, 'rephrasings')).toEqual([2, 3, 4]);
  });

  test('with --redraw is edited and asked again in any', () => {
    expect(drawn(true, 'edits')).toEqual([1, 2, 3, 4]);
    expect(drawn(true, 'rephrasings')).toEqual([1, 2, 3, 4]);
  });

  test('is known in all of them', () => {
    expect(knownPairs(fact)).toEqual([1, 2, 3, 4].map((prompt) => ({ prompt: [prompt], answer: [8] })));
  });
});
