// Forward passes, captures and weight gradients of every supported model in the golden folder against the stored ones.

import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensorsHeader } from '../../src/checkpoint/safetensors.js';
import type { Capture, EditableModel } from '../../src/engine/editable-model.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import { layerRows } from '../../src/engine/layer-group.js';
import { makeProgram } from '../../src/graph/program.js';
import type { TensorOf } from '../../src/tensor.js';
import { expectClose } from './closeness.js';
import { type ForwardRecord, forwardRecords } from './golden-folder.js';
import { everyLogitRow, everyTokenBatch, realRows, type StoredBatch, storedBatch, takeRows } from './stored-batches.js';
import { floats } from './stored-editor.js';
import { StoredTensors } from './stored-tensors.js';
import { testable } from './testable.js';

/** Of the largest value. Float32 on other libraries agrees to about 1e-6; gradients lose another digit. */
const tolerance = 2e-5;

/** Of the largest logit, for weights rounded to 8 bits of mantissa. */
const roundedTolerance = 0.05;

for (const record of testable(forwardRecords(), 'forward passes')) {
  const file = await StoredTensors.open(record.file);
  const batches = batchesOf(file);

  describe(record.model.name, () => {
    let model: LanguageModel;
    let editable: EditableModel;

    beforeAll(async () => {
      model = await LanguageModel.open(record.model.folder);
      editable = await model.editing(model.layers(record.layers));
    });
    afterAll(() => model.close());

    it('the file holds batches with logits', () => {
      expect(batches.length).toBeGreaterThan(0);
      for (const batch of batches) expect(file.has(`${batch}.logits`), batch).toBe(true);
    });

    it.each(batches)('%s: logits at all real tokens', async (batch) => {
      await expectLogits(editable, file, batch, tolerance);
    });

    const withHidden = batches.filter((batch) =>
      Object.values(hiddenNames).some((name) => file.has(`${batch}.${name}.0`)),
    );
    it.each(withHidden)('%s: hidden states', async (batch) => {
      await expectHiddenStates(model, file, batch);
    });

    it.each(batches.filter((batch) => file.has(`${batch}.loss`)))('%s: loss and weight gradients', async (batch) => {
      await expectWeightGradients(editable, file, batch);
    });

    it.each(captures(record, file))('$batch: keys and value gradients, $stored tokens', async ({ batch, stored }) => {
      await expectCapture(editable, file, batch, stored);
    });

    it.each(otherWeightFiles(record))('%s: the same logits', async (weights) => {
      await expectSameLogits(record, file, weights, batches[0]!);
    });
  });
}

function batchesOf(file: StoredTensors): string[] {
  return [...new Set(file.names.map((name) => name.split('.')[0]!))];
}

async function expectLogits(
  editable: EditableModel,
  file: StoredTensors,
  batch: string,
  fraction: number,
): Promise<void> {
  const every = everyTokenBatch(file, batch);
  const frozen = await editable.freeze(every);
  const logits = await editable.logits(frozen, editable.base);
  const vocabulary = file.shape(`${batch}.logits`).at(-1)!;
  const expected = takeRows(file.numbers(`${batch}.logits`), vocabulary, everyLogitRow(file, batch));
  const computed = await floats(editable, logits);
  expectClose(`${batch}.logits`, vocabulary === 1 ? oddsOf(computed) : computed, expected, fraction);
  editable.runtime.release(logits);
  editable.releaseFrozen(frozen);
}

/** The one logit of a two-way decision, from the two of each row. */
function oddsOf(logits: Float32Array): Float32Array {
  return Float32Array.from({ length: logits.length / 2 }, (_, row) => logits[2 * row + 1]! - logits[2 * row]!);
}

/** The stored names of the hidden states of a decoder or an encoder alone, and of both sides. */
const hiddenNames = { one: 'hidden', encoder: 'encoder_hidden', decoder: 'decoder_hidden' } as const;

async function expectHiddenStates(model: LanguageModel, file: StoredTensors, batch: string): Promise<void> {
  const { hidden, encoderHidden = [] } = model.definition.forward({ answersOnlyInLastBlock: false });
  const own = encoderHidden.length > 0 ? hiddenNames.decoder : hiddenNames.one;
  const named = [
    ...hidden.map((value, at) => [`${own}.${at}`, value] as const),
    ...encoderHidden.map((value, at) => [`${hiddenNames.encoder}.${at}`, value] as const),
  ];
  const program = makeProgram(new Map(named));
  const compiled = await model.runtime.compile(
    program,
    model.binding(() => false),
  );
  const { tensors } = everyTokenBatch(file, batch);
  const [sequences, tokens] = tensors.tokenIds.shape as [number, number];
  const wanted = new Set(program.inputs.map(({ attributes }) => attributes.name));
  const feeds = Object.fromEntries(Object.entries(tensors).filter(([name]) => wanted.has(name)));
  const decoderTokens = tensors.decoderIds?.shape[1];
  const dims = { batch: sequences, tokens, ...(decoderTokens === undefined ? {} : { decoderTokens }) };
  const result = await model.runtime.run(compiled, feeds, { dims });
  expect(file.has(`${batch}.${own}.${hidden.length}`), 'a hidden state beyond ours').toBe(false);
  for (const [name, value] of named) {
    const mask = name.startsWith(hiddenNames.decoder) ? 'decoder_attention_mask' : 'attention_mask';
    const real = realRows(file.numbers(`${batch}.${mask}`));
    const stored = `${batch}.${name}`;
    const width = file.shape(stored).at(-1)!;
    const all = Float64Array.from(result.host<TensorOf<'f32'>>(name).data);
    const actual = value.shape[0] === 'answers' ? [...all] : takeRows(all, width, real);
    expectClose(stored, actual, takeRows(file.numbers(stored), width, real), tolerance);
  }
}

async function expectWeightGradients(editable: EditableModel, file: StoredTensors, batch: string): Promise<void> {
  const stored = storedBatch(file, batch);
  const frozen = await editable.freeze(stored);
  const { loss, gradients } = await editable.lossGradient(frozen, editable.base, { scale: meanScale(stored) });
  expectClose(`${batch}.loss`, [loss], file.numbers(`${batch}.loss`), tolerance);
  for (const [layer, gradient] of gradients) {
    const name = `${batch}.grad.${layer}.weight`;
    if (file.has(name)) expectClose(name, await floats(editable, gradient), file.numbers(name), tolerance);
  }
  editable.runtime.release(...gradients.values());
  editable.releaseFrozen(frozen);
}

/** `masked`: all attended tokens of both sides of an encoder-decoder, as published whatever is asked for. */
type StoredTokens = 'ans' | 'all' | 'masked';

/** The captures that the file holds. */
function captures({ layers }: ForwardRecord, file: StoredTensors) {
  const all = batchesOf(file).flatMap((batch) =>
    (['ans', 'all', 'masked'] as const).map((stored) => ({ batch, stored: stored as StoredTokens })),
  );
  return all.filter(({ batch, stored }) => layers.some((layer) => file.has(`${batch}.${stored}.${layer}.keys`)));
}

async function expectCapture(
  editable: EditableModel,
  file: StoredTensors,
  batch: string,
  stored: StoredTokens,
): Promise<void> {
  const data = storedBatch(file, batch);
  const capture = await editable.capture(data, stored === 'all' ? 'all' : 'answers', meanScale(data));
  expectClose(`${batch}.loss`, [capture.loss], file.numbers(`${batch}.loss`), tolerance);
  for (const { layer, item, values } of await capturedRows(editable, capture)) {
    const name = `${batch}.${stored}.${layer}.${item}`;
    if (file.has(name)) expectClose(name, values, file.numbers(name), tolerance);
  }
}

/** Host copies of all rows, by layer; the residents are released. */
async function capturedRows(editable: EditableModel, capture: Capture) {
  const found: { readonly layer: string; readonly item: string; readonly values: Float32Array }[] = [];
  for (const [group, { keys, valueGradients, counts }] of capture.rows.entries()) {
    const { layers } = editable.groups[group]!;
    for (const [item, stack] of [['keys', keys] as const, ['values_grad', valueGradients] as const]) {
      for (const [at, { name }] of layers.entries()) {
        const values = await floats(editable, layerRows(stack, counts, at));
        found.push({ layer: name, item, values });
      }
    }
    editable.runtime.release(keys, valueGradients);
  }
  return found;
}

/** The same weights stored in other ways: other tensor names, 16 bits. */
function otherWeightFiles({ model }: ForwardRecord): string[] {
  return readdirSync(model.folder).filter((file) => /^model\.\w+\.safetensors$/.test(file));
}

async function expectSameLogits(
  { model, layers }: ForwardRecord,
  file: StoredTensors,
  weights: string,
  batch: string,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'malmen-parity-'));
  symlinkSync(join(model.folder, 'config.json'), join(folder, 'config.json'));
  symlinkSync(join(model.folder, weights), join(folder, 'model.safetensors'));
  const other = await LanguageModel.open(folder);
  try {
    const { tensors } = await readSafetensorsHeader(join(folder, 'model.safetensors'));
    const rounded = [...tensors.values()].some(({ dtype }) => dtype === 'bf16' || dtype === 'f16');
    const editable = await other.editing(other.layers(layers));
    await expectLogits(editable, file, batch, rounded ? roundedTolerance : tolerance);
  } finally {
    await other.close();
    rmSync(folder, { recursive: true });
  }
}

/** The stored losses are means over all answer tokens of a batch. */
function meanScale({ answerCounts }: StoredBatch): number {
  return 1 / answerCounts.reduce((sum, count) => sum + count, 0);
}
