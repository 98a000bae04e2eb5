// A training step is a function of its set of facts: how many prompts the model reads at once, and how many rows the networks
// take at once, change nothing but rounding. And whatever is computed or undone, the base weights stay as they are.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { splitIntoBatches } from '../../src/data/split-batches.js';
import type { TokenPair } from '../../src/data/tuple.js';
import { HyperEditor } from '../../src/editors/hyper-editor.js';
import { initialParameters, type Statistics } from '../../src/editors/hyper-network.js';
import { dampedMalmen, malmen } from '../../src/editors/malmen.js';
import { mend } from '../../src/editors/mend.js';
import { emptyMoments, ResidentNetwork } from '../../src/editors/resident-network.js';
import type { EditableModel, LayerTensors } from '../../src/engine/editable-model.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import type { LayerGroup } from '../../src/engine/layer-group.js';
import type { TokenChoice } from '../../src/engine/lm-programs.js';
import type { ModelDefinition } from '../../src/models/model.js';
import type { TensorOf } from '../../src/tensor.js';
import { metaStep } from '../../src/train/meta-step.js';
import { Random } from '../../src/util/random.js';
import { expectClose } from '../parity/closeness.js';
import { goldenModels } from '../parity/golden-folder.js';

/** Of the largest value: sums of float32 numbers in another order, and a solve that magnifies their rounding. */
const rounding = 2e-4;

const facts = 16;
const seed = 20;

/** Prompts at once; 3 does not divide 16, so its last batch is not full. */
const batchSizes = [1, 3, facts];

/** Network rows at once: less than a layer has, a part that does not divide them, and all. */
const rowLimits = [7, 20, 8192];

interface Setting {
  readonly method: typeof malmen;
  readonly tokens: TokenChoice;
  readonly statistics: Statistics;
}

const plain: Setting = { method: malmen, tokens: 'answers', statistics: 'shared' };
const settings: readonly Setting[] = [
  plain,
  { ...plain, tokens: 'all' },
  { ...plain, method: mend },
  { method: dampedMalmen, tokens: 'answers', statistics: 'layer' },
];

interface Episode {
  readonly edits: readonly TokenPair[];
  readonly rephrasings: readonly TokenPair[];
  readonly unrelated: readonly TokenPair[];
}

describe.each(goldenModels().filter(({ supported }) => supported))('$name', ({ folder }) => {
  let model: LanguageModel;
  let editable: EditableModel;
  let episode: Episode;
  beforeAll(async () => {
    model = await LanguageModel.open(folder);
    editable = await model.editing(model.layers(model.definition.defaultLayers.slice(-2)));
    episode = randomEpisode(model.definition);
  });
  afterAll(() => model.close());

  describe.each(settings)('$method.name, $tokens, statistics: $statistics', (setting) => {
    let reference: StepNumbers;
    const step = async (batchSize: number, rowLimit: number) => {
      const editor = await openEditor(editable, setting, rowLimit);
      const numbers = await stepNumbers(editable, editor, episode, batchSize);
      editor.close(model.runtime);
      return numbers;
    };
    beforeAll(async () => {
      reference = await step(facts, 8192);
    });

    const cases = batchSizes.flatMap((batchSize) => rowLimits.map((rowLimit) => [batchSize, rowLimit] as const));
    it.each(cases)('prompts at once: %i, network rows at once: %i', async (batchSize, rowLimit) => {
      const numbers = await step(batchSize, rowLimit);
      expect([...numbers.keys()]).toEqual([...reference.keys()]);
      for (const [name, values] of numbers) expectClose(name, values, reference.get(name)!, rounding);
    });

    it('the reference learns something', () => {
      for (const name of ['edit loss', 'generalisation loss', 'locality loss', 'gradient norm']) {
        expect(reference.get(name)![0], name).toBeGreaterThan(0);
      }
    });
  });

  it('a step leaves nothing beside the runtime, and the weight file as it was', async () => {
    const weights = () => [...model.folder.files.values()].map(({ path }) => digest(readFileSync(path)));
    const before = { files: weights(), memory: await editable.runtime.memory() };
    const editor = await openEditor(editable, plain, 20);
    await stepNumbers(editable, editor, episode, 3);
    editor.close(model.runtime);
    expect(await editable.runtime.memory()).toEqual(before.memory);
    expect(weights()).toEqual(before.files);
  });

  it('applying a shift and undoing it restores weights and predictions bit for bit', async () => {
    const before = { weights: await downloads(editable, editable.base), answers: await answers(editable, episode) };
    const memory = await editable.runtime.memory();
    const editor = await openEditor(editable, plain, 20);
    const shift = await editor.computeShift(editable, batched(editable, episode.edits, 3));
    const edited = await editable.shifted(shift);
    for (const { name } of editable.layers) expect(edited.get(name)!.id).not.toBe(editable.base.get(name)!.id);
    expect(await answers(editable, episode, edited)).not.toEqual(before.answers);
    editable.releaseWeights(edited);
    editable.runtime.release(...shift.values());
    editor.close(model.runtime);
    expect(await downloads(editable, editable.base)).toEqual(before.weights);
    expect(await stored(model, editable)).toEqual(before.weights);
    expect(await answers(editable, episode)).toEqual(before.answers);
    expect(await editable.runtime.memory()).toEqual(memory);
  });
});

function randomEpisode({ kind, vocabularySize: vocabulary }: ModelDefinition): Episode {
  const random = new Random(seed);
  const tokens = (fewest: number, most: number) =>
    Array.from({ length: fewest + random.integer(most - fewest + 1) }, () => random.integer(vocabulary));
  const pairs = (answer: (at: number) => readonly number[]) =>
    Array.from({ length: facts }, (_, at): TokenPair => ({ prompt: tokens(2, 12), answer: answer(at) }));
  const someAnswer = () => (kind === 'classifier' ? [random.integer(2)] : tokens(1, 4));
  const edits = pairs(someAnswer);
  return { edits, rephrasings: pairs((at) => edits[at]!.answer), unrelated: pairs(someAnswer) };
}

/** Networks with every parameter away from its start, so that every gradient counts. */
async function openEditor(editable: EditableModel, setting: Setting, rowLimit: number): Promise<HyperEditor> {
  const random = new Random(seed);
  const networks: ResidentNetwork[] = [];
  for (const group of editable.groups)
    networks.push(await openNetwork(editable, group, { ...setting, rowLimit, random }));
  return new HyperEditor(setting.method, setting.tokens, networks);
}

interface NetworkOptions extends Setting {
  readonly rowLimit: number;
  readonly random: Random;
}

function openNetwork(
  { runtime }: EditableModel,
  { keySize, valueSize, layers }: LayerGroup,
  { method, statistics, rowLimit, random }: NetworkOptions,
): Promise<ResidentNetwork> {
  const shape = { keySize, valueSize, layers: layers.length, rank: 6, blocks: 2, statistics };
  const tensors = initialParameters(shape, { learningRate: 0.01, logLambda: 0.5 }, random);
  for (const [name, { data }] of tensors) {
    if (name !== 'lr.weight') for (let i = 0; i < data.length; i++) data[i]! += 0.05 * random.normal();
  }
  return ResidentNetwork.open(runtime, method, tensors, {
    shape,
    moments: emptyMoments(shape),
    rowLimit,
  });
}

/** Everything that a step computes, by name. */
type StepNumbers = ReadonlyMap<string, ArrayLike<number>>;

async function stepNumbers(
  editable: EditableModel,
  editor: HyperEditor,
  { edits, rephrasings, unrelated }: Episode,
  batchSize: number,
): Promise<StepNumbers> {
  const found = new Map<string, ArrayLike<number>>();
  const batches = {
    edits: batched(editable, edits, batchSize),
    rephrasings: batched(editable, rephrasings, batchSize),
    unrelated: batched(editable, unrelated, batchSize),
  };
  const collect = (item: string) => async (tensors: LayerTensors) => {
    for (const [name, values] of await downloads(editable, tensors)) found.set(`${item} ${name}`, values);
  };
  const result = await metaStep(
    editable,
    editor,
    batches,
    { localityWeight: 1, reduction: 'set' },
    { solved: collect('shift'), weightGradients: collect('weight gradient') },
  );
  found.set('edit loss', [sum(result.editLosses)]);
  found.set('generalisation loss', [sum(result.generalisationLosses)]);
  found.set('locality loss', [sum(result.localityLosses)]);
  found.set('gradient norm', [result.gradientNorm]);
  for (const [at, gradients] of result.gradients.entries()) {
    await collect(`gradient of network ${at},`)(gradients);
    editable.runtime.release(...gradients.values());
    for (const [of, moments] of editor.networks[at]!.moments.entries()) {
      found.set(`mean ${of} of network ${at}`, moments.mean);
      found.set(`deviation ${of} of network ${at}`, moments.deviation());
    }
  }
  return found;
}

function batched({ model }: EditableModel, pairs: readonly TokenPair[], batchSize: number) {
  const { kind } = model.definition;
  return splitIntoBatches(pairs, { kind, batchSize, sortByLength: true }).map(({ batch }) => batch);
}

async function answers(editable: EditableModel, { edits }: Episode, weights: LayerTensors = editable.base) {
  const [batch] = batched(editable, edits, facts);
  const frozen = await editable.freeze(batch!);
  const predictions = await editable.predict(frozen, weights);
  editable.releaseFrozen(frozen);
  return predictions;
}

async function downloads({ runtime }: EditableModel, tensors: LayerTensors): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  for (const [name, tensor] of tensors) found.set(name, (await runtime.download<TensorOf<'f32'>>(tensor)).data);
  return found;
}

/** The edited layers' weights as the checkpoint has them. */
async function stored(model: LanguageModel, { layers }: EditableModel): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  for (const { name } of layers) found.set(name, (await model.read(`${name}.weight`)).data);
  return found;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
