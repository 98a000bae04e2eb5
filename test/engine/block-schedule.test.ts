// Running block after block gives what running the whole model gives, within float32 rounding: captures, losses, gradients,
// logits, predictions, with and without a shift, for every supported model of the golden folder.

import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { splitIntoBatches } from '../../src/data/split-batches.js';
import type { EditableModel, LayerTensors, ModelBatch } from '../../src/engine/editable-model.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import type { Resident } from '../../src/engine/runtime.js';
import { GrowingBatch } from '../../src/eval/growing-batch.js';
import { f32, type TensorOf } from '../../src/tensor.js';
import { Random } from '../../src/util/random.js';
import { expectWithin, largestValue } from '../parity/closeness.js';
import { goldenModels } from '../parity/golden-folder.js';

/** Of the largest value: float32 numbers summed in another order. */
const rounding = 2e-5;

/**
 * Some units in the last place of numbers near 1, of which gradients are sums: those of a two-way divergence and of its answers
 * cancel to a hundredth.
 */
const unit = 1e-6;

const models = goldenModels().filter(({ supported }) => supported);

/** Every checkpoint as it is and, where there is a copy in 16 bits, that too. */
const checkpoints = models.flatMap(({ name, folder }) => {
  const others = readdirSync(folder).filter((file) => /^model\.(bf16|f16|fp16)\.safetensors$/.test(file));
  // A fact checker's head lies in a file of its own.
  const head = readdirSync(folder).find((file) => file === 'fever.safetensors');
  return [{ name, folder, weights: head }, ...others.map((weights) => ({ name, folder, weights }))];
});

type Shifted = 'no layer' | 'one layer' | 'every layer';

interface Choice {
  readonly chosen: string;
  readonly pick: (defaults: readonly string[], all: readonly string[]) => readonly string[];
  readonly shifts: readonly Shifted[];
}

const choices: readonly Choice[] = [
  {
    chosen: 'the last two default layers',
    pick: (defaults) => defaults.slice(-2),
    shifts: ['no layer', 'one layer', 'every layer'],
  },
  { chosen: 'first and last layer', pick: (_, all) => [all[0]!, all.at(-1)!], shifts: ['every layer'] },
  { chosen: 'every layer', pick: (_, all) => all, shifts: ['every layer'] },
];

describe.each(checkpoints)('$name, $weights', ({ folder, weights }) => {
  let copy: string;
  let model: LanguageModel;
  beforeAll(async () => {
    copy = mkdtempSync(join(tmpdir(), 'malmen-blocks-'));
    symlinkSync(join(folder, 'config.json'), join(copy, 'config.json'));
    if (weights) symlinkSync(join(folder, weights), join(copy, 'model.safetensors'));
    model = await LanguageModel.open(weights ? copy : folder);
  });
  afterAll(async () => {
    await model.close();
    rmSync(copy, { recursive: true });
  });

  describe.each(choices)('$chosen', ({ pick, shifts }) => {
    let pair: Pair;
    beforeAll(async () => {
      const { layers, defaultLayers } = model.definition;
      const names = pick(
        defaultLayers,
        layers.map(({ name }) => name),
      );
      pair = {
        whole: await model.editing(model.layers(names)),
        blocks: await model.editing(model.layers(names), 'blocks'),
      };
    });
    afterAll(() => pair.whole.close());

    for (const shifted of shifts) {
      it(`the same numbers with a shift of ${shifted}`, async () => {
        const [expected, actual] = [await numbers(pair.whole, shifted), await numbers(pair.blocks, shifted)];
        expect([...actual.keys()]).toEqual([...expected.keys()]);
        for (const [name, values] of expected) {
          const limit = Math.max(rounding * largestValue(values), unit);
          expectWithin(name, actual.get(name)!, values, limit);
        }
        if (shifted !== 'no layer') return;
        const alone = [...expected.keys()].filter((name) => name.endsWith(' alone'));
        for (const name of alone) expect(expected.get(name)).toEqual(expected.get(name.replace(' alone', '')));
      });
    }

    it('leaves nothing beside the runtime', async () => {
      const before = await model.runtime.memory();
      await numbers(pair.blocks, 'every layer');
      expect(await model.runtime.memory()).toEqual(before);
    });
  });
});

interface Pair {
  readonly whole: EditableModel;
  readonly blocks: EditableModel;
}

/** Everything that an editor or a trainer asks of a model, by name. */
async function numbers(editable: EditableModel, shifted: Shifted): Promise<Map<string, ArrayLike<number>>> {
  const { runtime } = editable;
  const found = new Map<string, ArrayLike<number>>();
  const take = async (name: string, resident: Resident) => {
    found.set(name, (await runtime.download<TensorOf<'f32'>>(resident)).data);
    runtime.release(resident);
  };
  const weights = await shiftedWeights(editable, shifted);
  const batch = randomBatch(editable);
  for (const tokens of ['answers', 'all'] as const) {
    const { loss, rows } = await editable.capture(batch, tokens, 0.5, weights);
    found.set(`${tokens} loss`, [loss]);
    for (const [group, { keys }] of (await editable.keys(batch, tokens)).entries())
      await take(`${tokens} keys ${group} alone`, keys);
    for (const [group, { keys, valueGradients }] of rows.entries()) {
      await take(`${tokens} keys ${group}`, keys);
      await take(`${tokens} value gradients ${group}`, valueGradients);
    }
  }
  const frozen = await editable.freeze(batch);
  const before = await editable.logits(frozen, editable.base);
  const first = await editable.lossGradient(frozen, weights, { scale: 0.25 });
  const scaled = { scale: 0.75, before, sums: first.gradients };
  const second = await editable.lossGradient(frozen, weights, scaled);
  found.set('losses', [first.loss, second.loss]);
  for (const [name, gradient] of second.gradients) await take(`gradient ${name}`, gradient);
  await take('logits before', before);
  await take('logits', await editable.logits(frozen, weights));
  const { predicted, nll } = await editable.predict(frozen, weights);
  found.set('predicted', Array.from(predicted, Number));
  found.set('nll', nll);
  editable.releaseFrozen(frozen);
  await write(editable, weights, found);
  editable.releaseWeights(weights);
  return found;
}

/** Two tokens for two prompts, from a memory where the model has one. */
async function write(
  editable: EditableModel,
  weights: LayerTensors,
  found: Map<string, ArrayLike<number>>,
): Promise<void> {
  if (!editable.canStep) return;
  const sequences = new GrowingBatch(editable, weights, [
    [5, 3, 9],
    [7, 2],
  ]);
  found.set('first token', await sequences.predict());
  sequences.append([1, 4]);
  found.set('logits of the second token', (await sequences.logits()).data);
  sequences.close();
}

async function shiftedWeights(editable: EditableModel, shifted: Shifted): Promise<LayerTensors> {
  if (shifted === 'no layer') return editable.base;
  const random = new Random(3);
  const shift = new Map<string, Resident>();
  const layers = shifted === 'one layer' ? editable.layers.slice(0, 1) : editable.layers;
  for (const { name, keySize, valueSize } of layers) {
    const data = Float32Array.from({ length: keySize * valueSize }, () => 0.02 * random.normal());
    shift.set(name, await editable.runtime.upload(f32(data, [keySize, valueSize])));
  }
  const weights = await editable.shifted(shift);
  editable.runtime.release(...shift.values());
  return weights;
}

function randomBatch({ model }: EditableModel): ModelBatch {
  const random = new Random(2);
  const ids = (count: number) => Array.from({ length: count }, () => random.integer(model.definition.vocabularySize));
  const { kind } = model.definition;
  const answer = (length: number) => (kind === 'classifier' ? [random.integer(2)] : ids(length));
  const pairs = [5, 9, 3].map((length, at) => ({ prompt: ids(length), answer: answer(at + 1) }));
  return splitIntoBatches(pairs, { kind, batchSize: pairs.length })[0]!.batch;
}
