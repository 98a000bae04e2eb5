// A prompt whose frozen part was kept gives the same numbers in any later batch as computing it there, on many processors to
// the last bit: for every supported model of the golden folder and both schedules. What is not there, damaged or too much is
// computed.

import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BatchOptions } from '../../src/data/batch.js';
import { splitIntoBatches } from '../../src/data/split-batches.js';
import type { TokenPair } from '../../src/data/tuple.js';
import type { EditableModel, ModelBatch } from '../../src/engine/editable-model.js';
import type { RecordStore } from '../../src/engine/frozen-cache.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import type { Resident } from '../../src/engine/runtime.js';
import { f32, type TensorOf } from '../../src/tensor.js';
import { Random } from '../../src/util/random.js';
import { goldenModels } from '../parity/golden-folder.js';

/** Of the largest value: padding may change in which order a processor sums. */
const rounding = 2e-5;

const models = goldenModels().filter(({ supported }) => supported);

/** A store that can be looked into. */
class MapStore implements RecordStore {
  readonly records = new Map<string, Float32Array>();
  limit = Number.POSITIVE_INFINITY;
  /** Else nothing is kept and nothing is there: everything is computed. */
  isOn = true;

  has(key: string): boolean {
    return this.isOn && this.records.has(key);
  }

  async read(key: string): Promise<Float32Array | undefined> {
    return this.isOn ? this.records.get(key)?.slice() : undefined;
  }

  async write(records: ReadonlyMap<string, Float32Array>): Promise<void> {
    if (!this.isOn) return;
    for (const [key, record] of records) if (this.records.size < this.limit) this.records.set(key, record.slice());
  }
}

describe.each(models)('$name', ({ folder }) => {
  let copy: string;
  let model: LanguageModel;
  beforeAll(async () => {
    copy = mkdtempSync(join(tmpdir(), 'malmen-cache-'));
    symlinkSync(join(folder, 'config.json'), join(copy, 'config.json'));
    // A fact checker's head lies in a file of its own.
    const weights = readdirSync(folder).find((file) => file === 'fever.safetensors');
    if (weights) symlinkSync(join(folder, weights), join(copy, 'model.safetensors'));
    model = await LanguageModel.open(weights ? copy : folder);
  });
  afterAll(async () => {
    await model.close();
    rmSync(copy, { recursive: true });
  });

  describe.each(['whole', 'blocks'] as const)('%s', (schedule) => {
    const store = new MapStore();
    let caching: EditableModel;
    beforeAll(async () => {
      caching = await model.editing(model.layers(model.definition.defaultLayers.slice(-2)), schedule, store);
    });
    afterAll(() => caching.close());

    async function expectSame(batch: ModelBatch): Promise<void> {
      store.isOn = false;
      const computed = await numbers(caching, batch);
      store.isOn = true;
      compareNumbers(await numbers(caching, batch), computed, batch);
    }

    it('the same numbers from kept prompts, in other batches and with other padding', async () => {
      const [first, ...later] = batchings(model);
      for (const batch of first!) await expectSame(batch);
      expect(store.records.size).toBeGreaterThan(0);
      for (const batch of later.flat()) await expectSame(batch);
      const { asked, found } = caching.cache!.use;
      // Half of all was asked of a store that was off.
      expect(found).toBeGreaterThan(asked / 4);
    });

    it('the same numbers where the store is full, has lost something, or gives what does not fit', async () => {
      store.records.clear();
      store.limit = 4;
      const [first, second] = batchings(model);
      for (const batch of first!) await expectSame(batch);
      expect(store.records.size).toBe(4);
      const [one, other] = store.records.keys();
      store.records.delete(one!);
      store.records.set(other!, new Float32Array(3));
      for (const batch of second!) await expectSame(batch);
    });

    it('nothing is left beside the runtime, and nothing is asked of a closed cache', async () => {
      const [[batch]] = batchings(model) as [ModelBatch[]];
      await numbers(caching, batch!);
      const before = await model.runtime.memory();
      store.records.clear();
      await numbers(caching, batch!);
      const { asked } = caching.cache!.use;
      caching.cache!.close();
      await numbers(caching, batch!);
      expect(caching.cache!.use.asked).toBe(asked);
      expect(await model.runtime.memory()).toEqual(before);
    });
  });
});

/** The same prompts in batches of other sizes and orders, and padded on the other side where a model can read that. */
function batchings({ definition: { kind, vocabularySize } }: LanguageModel): ModelBatch[][] {
  const random = new Random(11);
  const ids = (count: number) => Array.from({ length: count }, () => random.integer(vocabularySize));
  const answer = (length: number) => (kind === 'classifier' ? [random.integer(2)] : ids(length));
  const pairs = [5, 9, 3, 4, 12, 2, 7, 1].map((length, at): TokenPair => {
    return { prompt: ids(length), answer: answer([1, 1, 3, 1, 2, 1, 1, 1][at]!) };
  });
  const split = (
    some: readonly TokenPair[],
    batchSize: number,
    options: BatchOptions & { sortByLength?: boolean } = {},
  ) => splitIntoBatches(some, { kind, batchSize, ...options }).map(({ batch }) => batch);
  return [
    split(pairs.slice(0, 6), 3, { sortByLength: true }),
    split([...pairs.slice(3), pairs[0]!, pairs[0]!], 4),
    split(pairs, 8, { sortByLength: true, ...(kind === 'decoder' ? { padSide: 'left' as const } : {}) }),
    split(pairs, 1),
    // Every answer and, of some, every prompt has one token.
    split([pairs[7]!, { prompt: pairs[7]!.prompt, answer: answer(1) }, { prompt: ids(1), answer: answer(1) }], 2),
  ];
}

type Numbers = ReadonlyMap<string, readonly number[]>;

/** By name and place: a list of thousands of numbers says nothing. */
function compareNumbers(found: Numbers, wanted: Numbers, batch: ModelBatch): void {
  expect([...found.keys()]).toEqual([...wanted.keys()]);
  const shapes = Object.entries(batch.tensors).map(([name, { shape }]) => `${name} [${shape}]`);
  for (const [name, values] of wanted) {
    const unit = rounding * Math.max(1e-6, ...values.map(Math.abs));
    const other = values.findIndex((value, at) => !(Math.abs(value - found.get(name)![at]!) <= unit));
    const where = `${name}[${other}] of a batch of ${shapes}`;
    expect(other, where).toBe(-1);
    expect(found.get(name), where).toHaveLength(values.length);
  }
}

/** What training asks of a model, by name. */
async function numbers(editable: EditableModel, batch: ModelBatch): Promise<Map<string, readonly number[]>> {
  const { runtime } = editable;
  const found = new Map<string, readonly number[]>();
  const take = async (name: string, resident: Resident) => {
    found.set(name, [...(await runtime.download<TensorOf<'f32'>>(resident)).data]);
    runtime.release(resident);
  };
  const weights = await shiftedWeights(editable);
  for (const tokens of ['answers', 'all'] as const) {
    const { loss, rows } = await editable.capture(batch, tokens, 0.5, weights);
    found.set(`${tokens} loss`, [loss]);
    for (const [group, { keys, valueGradients }] of rows.entries()) {
      await take(`${tokens} keys ${group}`, keys);
      await take(`${tokens} value gradients ${group}`, valueGradients);
    }
  }
  const frozen = await editable.freeze(batch);
  const before = await editable.logits(frozen, editable.base);
  const { loss, gradients } = await editable.lossGradient(frozen, weights, { scale: 0.75, before });
  found.set('loss', [loss]);
  for (const [name, gradient] of gradients) await take(`gradient ${name}`, gradient);
  await take('logits', before);
  found.set('nll', [...(await editable.predict(frozen, weights)).nll]);
  editable.releaseFrozen(frozen);
  editable.releaseWeights(weights);
  return found;
}

async function shiftedWeights(editable: EditableModel) {
  const random = new Random(3);
  const shift = new Map<string, Resident>();
  for (const { name, keySize, valueSize } of editable.layers) {
    const data = Float32Array.from({ length: keySize * valueSize }, () => 0.02 * random.normal());
    shift.set(name, await editable.runtime.upload(f32(data, [keySize, valueSize])));
  }
  const weights = await editable.shifted(shift);
  editable.runtime.release(...shift.values());
  return weights;
}
