// An editor that was saved is the one that is opened again, the keys it preserves included; one that another version of the
// program wrote is refused in a sentence.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { embeddedModel } from '../../src/commands/demo.js';
import { splitIntoBatches } from '../../src/data/split-batches.js';
import type { TokenPair } from '../../src/data/tuple.js';
import {
  type EditorDescription,
  editorFormat,
  loadEditor,
  readEditorDescription,
  saveEditor,
} from '../../src/editors/editor-folder.js';
import { HyperEditor } from '../../src/editors/hyper-editor.js';
import { initialParameters } from '../../src/editors/hyper-network.js';
import { dampedMalmen } from '../../src/editors/malmen.js';
import type { PreservedByLayer } from '../../src/editors/preserved-keys.js';
import { preservedMoments } from '../../src/editors/preserved-moments.js';
import { emptyMoments, ResidentNetwork } from '../../src/editors/resident-network.js';
import type { EditableModel } from '../../src/engine/editable-model.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import type { TensorOf } from '../../src/tensor.js';
import { Random } from '../../src/util/random.js';

const layers = [1, 2].map((block) => `transformer.h.${block}.attn.c_proj`);
const size = { rank: 4, blocks: 2, statistics: 'layer' } as const;
const facts = Array.from({ length: 5 }, (_, at): TokenPair => ({ prompt: [1 + at, 2, 3], answer: [4 + at, 9] }));
const [{ batch } = { batch: undefined! }] = splitIntoBatches(facts, { kind: 'decoder', batchSize: 5, sortByLength: false }); // biome-ignore format: one line

let dir: string;
let model: LanguageModel;
let editable: EditableModel;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'malmen-editor-'));
  model = await LanguageModel.open(embeddedModel, { threads: 1 });
  editable = await model.editing(model.layers(layers));
});
afterAll(async () => {
  await model.close();
  await rm(dir, { recursive: true, force: true });
});

it('opened again, it makes the same shift bit for bit', async () => {
  const preserved = await preservedMoments(editable, [{ batch }], { weight: 1, wordingWeight: 0 });
  const editor = await untrained(preserved);
  const plain = await untrained(new Map());
  await saveEditor(dir, description(), editable, editor);
  const loaded = await loadEditor(dir, await readEditorDescription(dir), editable, 64);
  const shift = await shiftOf(editor);
  expect(await shiftOf(loaded)).toEqual(shift);
  expect(await shiftOf(plain)).not.toEqual(shift);
  for (const used of [editor, plain, loaded]) used.close(model.runtime);
});

it('an older format is refused with its file, the format that is read, and what to do', async () => {
  const path = join(dir, 'editor.json');
  const saved = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify({ ...saved, format: 'malmen-editor-1' }));
  await expect(readEditorDescription(dir)).rejects.toMatchObject({
    code: 'bad-input',
    message: `${path}: format: must be ${editorFormat}: train the editor again with this version`,
  });
});

async function untrained(preserved: PreservedByLayer): Promise<HyperEditor> {
  const networks: ResidentNetwork[] = [];
  for (const { keySize, valueSize, layers } of editable.groups) {
    const shape = { ...size, keySize, valueSize, layers: layers.length };
    const tensors = initialParameters(shape, { learningRate: 1e-2, logLambda: 0 }, new Random(1));
    const options = { shape, moments: emptyMoments(shape), rowLimit: 64 };
    networks.push(await ResidentNetwork.open(model.runtime, dampedMalmen, tensors, options));
  }
  return new HyperEditor(dampedMalmen, 'answers', networks, preserved);
}

function description(): EditorDescription {
  return {
    ...size,
    format: editorFormat,
    method: 'malmen',
    base: { hash: 'a', modelType: 'gpt2', path: 'lm' },
    layers,
    tokens: 'answers',
    steps: 0,
    rounds: 1,
    lambdaScale: 1,
    damped: true,
    ends: false,
    preserves: true,
    training: {},
  };
}

async function shiftOf(editor: HyperEditor): Promise<Float32Array[]> {
  const shift = await editor.computeShift(editable, [batch]);
  const tensors = await Promise.all([...shift.values()].map((one) => model.runtime.download<TensorOf<'f32'>>(one)));
  model.runtime.release(...shift.values());
  return tensors.map(({ data }) => data);
}
