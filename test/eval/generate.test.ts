// Generation with a memory of what was read: the same tokens as reading everything again, for every architecture that remembers.

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { decoderBatch } from '../../src/data/batch.js';
import type { EditableModel, LayerTensors } from '../../src/engine/editable-model.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import { generate } from '../../src/eval/generate.js';
import { GrowingBatch } from '../../src/eval/growing-batch.js';
import { f32 } from '../../src/tensor.js';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.js';
import { Random } from '../../src/util/random.js';
import { goldenModel } from '../checkpoint/temporary-folder.js';

const prompts = [[5, 17, 3], [101], [42, 7, 7, 99, 150, 2, 31], [9, 8, 7, 6]];

/** Nothing ends, no text is made. */
const endless: Tokenizer = {
  vocabularySize: 211,
  encode: async () => [],
  encodePrompts: async () => [],
  encodeAnswers: async () => [],
  encodeInput: async () => [],
  decode: async (lists) => lists.map((ids) => ids.join(' ')),
};

/** One sequence alone, read as a whole for each token. */
async function rewritten(model: EditableModel, weights: LayerTensors, prompt: readonly number[], count: number) {
  const ids = [...prompt];
  for (let step = 0; step < count; step++) {
    const frozen = await model.freeze(decoderBatch([{ prompt: ids, answer: [0] }]));
    ids.push(Number((await model.predict(frozen, weights)).predicted[0]));
    model.releaseFrozen(frozen);
  }
  return ids.slice(prompt.length);
}

async function rewrittenAll(model: EditableModel, weights: LayerTensors, count: number): Promise<number[][]> {
  const all: number[][] = [];
  for (const prompt of prompts) all.push(await rewritten(model, weights, prompt, count));
  return all;
}

describe.each(['gpt2', 'gptj', 'llama', 'llama3', 'qwen2', 'gpt_neox'])('%s', (name) => {
  const count = 9;
  let language: LanguageModel;
  let model: EditableModel;
  /** The weights of an edit: the base's and what differs from it. */
  let edited: LayerTensors;
  beforeAll(async () => {
    language = await LanguageModel.open(goldenModel(name), { inThread: true, threads: 1 });
    // The last two only: the blocks before them are frozen.
    model = await language.editing(language.layers().slice(-2));
    const random = new Random(5);
    const shift = new Map<string, Awaited<ReturnType<typeof model.runtime.upload>>>();
    for (const { name: layer, keySize, valueSize } of model.layers) {
      const values = Float32Array.from({ length: keySize * valueSize }, () => 0.3 * random.normal());
      shift.set(layer, await model.runtime.upload(f32(values, [keySize, valueSize])));
    }
    edited = await model.shifted(shift);
    model.runtime.release(...shift.values());
  });
  afterAll(() => language.close());

  const write = (weights: LayerTensors, options: object = {}) =>
    generate(model, weights, endless, prompts, { maxTokens: count, batch: 4, stopAtSentence: false, ...options });

  it('a padded batch says what each sequence says alone, before and after an edit', async () => {
    const [before, after] = [await write(model.base), await write(edited)];
    expect(before).toEqual(await rewrittenAll(model, model.base, count));
    expect(after).toEqual(await rewrittenAll(model, edited, count));
    expect(after).not.toEqual(before);
  });

  it('padding on the left or on the right, and with any token, is the same', async () => {
    const expected = await rewrittenAll(model, edited, count);
    for (const padding of [{ padSide: 'left', padId: 77 } as const, { padSide: 'right', padId: 77 } as const]) {
      const sequences = new GrowingBatch(model, edited, prompts, padding);
      const steps: number[][] = [];
      while (steps.length < count) {
        if (steps.length > 0) sequences.append(steps.at(-1)!);
        steps.push(await sequences.predict());
      }
      sequences.close();
      expect(prompts.map((_, row) => steps.map((tokens) => tokens[row]!))).toEqual(expected);
    }
  });

  it('each step reads one token of each sequence, and nothing stays behind', async () => {
    const before = await model.runtime.memory();
    const step = vi.spyOn(model, 'step');
    await write(edited);
    expect(step.mock.calls.map(([{ tensors }]) => tensors.tokenIds!.shape)).toEqual([
      [4, 7],
      ...Array.from({ length: count - 1 }, () => [4, 1]),
    ]);
    step.mockRestore();
    expect(await model.runtime.memory()).toEqual(before);
  });

  it('an end of text stops a sequence and does not disturb the others', async () => {
    const [first, ...others] = await rewrittenAll(model, model.base, count);
    const end = first![2]!;
    const until = (ids: readonly number[]) => (ids.includes(end) ? ids.slice(0, ids.indexOf(end)) : ids);
    const stopping = { ...endless, endOfText: end };
    const written = await generate(model, model.base, stopping, prompts, {
      maxTokens: count,
      batch: 4,
      stopAtSentence: false,
    });
    expect(written).toEqual([first!, ...others].map(until));
  });

  it('writes up to the end of what the model can read', async () => {
    const long = Array.from({ length: 60 }, (_, at) => (7 * at) % 211);
    const written = await generate(model, model.base, endless, [long, [3], long.slice(0, 58)], {
      maxTokens: 20,
      batch: 3,
      stopAtSentence: false,
    });
    expect(written).toEqual([
      await rewritten(model, model.base, long, 5),
      await rewritten(model, model.base, [3], 20),
      await rewritten(model, model.base, long.slice(0, 58), 7),
    ]);
  });

  it('sampling at almost no temperature is greedy, at some it is another text', async () => {
    const sampled = (temperature: number) => write(edited, { sampling: { temperature, random: new Random(1) } });
    expect(await sampled(1e-4)).toEqual(await write(edited));
    expect(await sampled(3)).not.toEqual(await write(edited));
  });
});
