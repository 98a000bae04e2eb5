// What holds for every editor on every kind of model: it reads the model and changes nothing, the same facts give the same shift
// bit for bit, also by way of the disk, no facts give no shift, the edited facts become likelier, and undoing an edit restores every prediction.

import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { splitIntoBatches } from '../../src/data/split-batches.js';
import type { TokenPair } from '../../src/data/tuple.js';
import type { AnswerBatch, Editor } from '../../src/editors/editor.js';
import { FineTuning } from '../../src/editors/fine-tuning.js';
import { HyperEditor } from '../../src/editors/hyper-editor.js';
import { initialParameters } from '../../src/editors/hyper-network.js';
import { dampedMalmen, malmen } from '../../src/editors/malmen.js';
import { mend } from '../../src/editors/mend.js';
import type { MetaMethod } from '../../src/editors/meta-method.js';
import { emptyMoments, ResidentNetwork } from '../../src/editors/resident-network.js';
import type { EditableModel, LayerTensors } from '../../src/engine/editable-model.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import type { ModelDefinition } from '../../src/models/model.js';
import type { TensorOf } from '../../src/tensor.js';
import { Random } from '../../src/util/random.js';
import { temporaryPaths } from '../checkpoint/temporary-folder.js';
import { goldenModels } from '../parity/golden-folder.js';

const newPath = temporaryPaths();

interface OpenEditor {
  readonly editor: Editor;
  close(): void;
}

/** A hyper-network at its start passes rows on as they are: MALMEN and MEND are then plain gradient methods. */
function untrained(method: MetaMethod, tokens: 'answers' | 'all', learningRate: number) {
  return async ({ runtime, groups }: EditableModel): Promise<OpenEditor> => {
    const networks: ResidentNetwork[] = [];
    for (const { keySize, valueSize, layers } of groups) {
      const shape = { keySize, valueSize, layers: layers.length, rank: 4, blocks: 2, statistics: 'layer' } as const;
      const tensors = initialParameters(shape, { learningRate, logLambda: 0 }, new Random(1));
      networks.push(
        await ResidentNetwork.open(runtime, method, tensors, { shape, moments: emptyMoments(shape), rowLimit: 64 }),
      );
    }
    const editor = new HyperEditor(method, tokens, networks);
    return { editor, close: () => editor.close(runtime) };
  };
}

const fineTuning = async (): Promise<OpenEditor> => ({
  editor: new FineTuning({ steps: 5, learningRate: 1e-3 }),
  close: () => {},
});

/** Step sizes that make an answer likelier on models of a width of 32 to 48; trained editors learn theirs. */
const editors: readonly (readonly [string, (model: EditableModel) => Promise<OpenEditor>])[] = [
  ['fine-tuning', fineTuning],
  ['MALMEN', untrained(malmen, 'answers', 1e-2)],
  ['MALMEN, damped', untrained(dampedMalmen, 'answers', 1e-2)],
  ['MEND', untrained(mend, 'all', 1e-3)],
];

describe.each(goldenModels().filter(({ supported }) => supported))('$name', ({ folder }) => {
  let model: LanguageModel;
  let editable: EditableModel;
  let batches: AnswerBatch[];
  beforeAll(async () => {
    model = await LanguageModel.open(folder, { threads: 1 });
    editable = await model.editing(model.layers());
    batches = batchesOf(model.definition);
  });
  afterAll(() => model.close());

  test.each(editors)('%s', async (_, open) => {
    const before = { loss: await lossUnder(editable, batches, editable.base), memory: await model.runtime.memory() };
    const { editor, close } = await open(editable);

    const none = await editor.computeShift(editable, []);
    const shift = await editor.computeShift(editable, batches);
    const again = await editor.computeShift(editable, batches);
    const values = await downloads(editable, shift);
    expect(new Set(values.keys())).toEqual(new Set(editable.layers.map(({ name }) => name)));
    for (const { name, keySize, valueSize } of editable.layers) {
      expect(shift.get(name)!.shape).toEqual([keySize, valueSize]);
      expect(values.get(name)!.every(Number.isFinite)).toBe(true);
      expect(values.get(name)!.some((value) => value !== 0)).toBe(true);
    }
    expect(await downloads(editable, again)).toEqual(values);
    const spoolTo = newPath();
    const spooled = await editor.computeShift(editable, batches, { spoolTo });
    expect(await downloads(editable, spooled)).toEqual(values);
    expect(existsSync(spoolTo)).toBe(false);
    for (const zeros of (await downloads(editable, none)).values())
      expect(zeros.every((value) => value === 0)).toBe(true);

    const edited = await editable.shifted(shift);
    expect(await lossUnder(editable, batches, edited)).toBeLessThan(before.loss);
    editable.releaseWeights(edited);
    for (const tensors of [none, shift, again, spooled]) model.runtime.release(...tensors.values());
    close();
    expect(await lossUnder(editable, batches, editable.base)).toBe(before.loss);
    expect(await model.runtime.memory()).toEqual(before.memory);
  });
});

/** Made-up facts, in batches of which the last is not full. */
function batchesOf({ kind, vocabularySize }: ModelDefinition): AnswerBatch[] {
  const random = new Random(7);
  const tokens = (count: number) => Array.from({ length: count }, () => random.integer(vocabularySize));
  const pairs = Array.from({ length: 5 }, (_, at): TokenPair => {
    return { prompt: tokens(3 + at), answer: kind === 'classifier' ? [at % 2] : tokens(1 + (at % 3)) };
  });
  return splitIntoBatches(pairs, { kind, batchSize: 2, sortByLength: true }).map(({ batch }) => batch);
}

/** Sum of -log p over all answer tokens. */
async function lossUnder(
  model: EditableModel,
  batches: readonly AnswerBatch[],
  weights: LayerTensors,
): Promise<number> {
  let total = 0;
  for (const batch of batches) {
    const frozen = await model.freeze(batch);
    const { nll } = await model.predict(frozen, weights);
    model.releaseFrozen(frozen);
    total += nll.reduce((sum, loss) => sum + loss, 0);
  }
  return total;
}

async function downloads({ runtime }: EditableModel, tensors: LayerTensors): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  for (const [name, tensor] of tensors) found.set(name, (await runtime.download<TensorOf<'f32'>>(tensor)).data);
  return found;
}
