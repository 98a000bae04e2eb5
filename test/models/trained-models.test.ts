// Really trained models of other projects, converted here: what they are known to say.

import { mkdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decoderBatchFromPadded } from '../../src/data/batch.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import { generate } from '../../src/eval/generate.js';
import { openTokenizer } from '../../src/tokenizer/tokenizer.js';
import { temporaryPaths } from '../checkpoint/temporary-folder.js';
import { isAbsent, sharedPath } from '../data/stored-data.js';
import { expectClose } from '../parity/closeness.js';
import { convertLlama2c } from './llama2c.js';
import { convertMinGpt, readMinGpt } from './mingpt.js';
import { logitsOf } from './model-variant.js';

const temporary = temporaryPaths();
const weights = (name: string) => sharedPath('data/weights', name);

function emptyFolder(): string {
  const path = temporary();
  mkdirSync(path);
  return path;
}

const story =
  'Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, ' +
  'red ball. She wanted to play with it, but it was too high.';

describe.skipIf(isAbsent(weights('stories260K.bin')))('stories260K: Llama, grouped key heads, tied output', () => {
  it('tells its story from the start token on', async () => {
    const folder = emptyFolder();
    await convertLlama2c(weights('stories260K.bin'), weights('tok512.bin'), folder);
    const tokenizer = await openTokenizer(folder);
    const model = await LanguageModel.open(folder);
    const editable = await model.editing(model.layers());
    const prompts = await tokenizer.encodePrompts(['']);
    expect(prompts).toEqual([[1]]);
    const [ids] = await generate(editable, editable.base, tokenizer, prompts, {
      maxTokens: 85,
      batch: 1,
      stopAtSentence: false,
    });
    const [text] = await tokenizer.decode([ids!]);
    expect(text!.slice(0, story.length)).toBe(story);
    await model.close();
  });
});

describe.skipIf(isAbsent(weights('gpt-nano-sort-model.json.gz')))('gpt-nano-sort: GPT-2 with a head of its own', () => {
  it('logits and probabilities at every token', async () => {
    const folder = emptyFolder();
    await convertMinGpt(readMinGpt(weights('gpt-nano-sort-model.json.gz')), folder);
    const { tensors } = readMinGpt(weights('gpt-nano-sort-t0-partials.json.gz'));
    const { shape, data } = tensors.get('idx')!;
    const batch = decoderBatchFromPadded({
      shape: shape as [number, number],
      inputIds: [...data],
      attentionMask: Array.from(data, () => 1),
      labels: Array.from(data, () => 0),
    });
    const logits = await logitsOf(folder, batch);
    expectClose('lm_head', logits, tensors.get('lm_head')!.data, 2e-5);
    const sorted = [...tensors.get('probs')!.data];
    expectClose(
      'probs',
      logits.map((x, at) => softmax(logits, at, x)),
      sorted,
      2e-5,
    );
  });
});

/** Over rows of three. */
function softmax(logits: Float32Array, at: number, x: number): number {
  const row = logits.subarray(at - (at % 3), at - (at % 3) + 3);
  return Math.exp(x) / row.reduce((sum, value) => sum + Math.exp(value), 0);
}
