// The public API is enough to edit a model from a program: nothing here is imported from anywhere else.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type EditRecord,
  FineTuning,
  inspect,
  LanguageModel,
  loadShift,
  MalmenError,
  options,
  saveShift,
  scoreEdit,
  splitIntoBatches,
  type TensorOf,
  type TokenizedRecord,
  verifyWeights,
} from '../../src/index.js';
import { root } from './source-files.js';

const folder = join(root, 'test/fixtures/golden/models/gpt2');
let model: LanguageModel;

beforeAll(async () => {
  model = await LanguageModel.open(folder, { inThread: true, threads: 1 });
});
afterAll(() => model.close());

/** A record of made-up ids: the stored model has no tokenizer. */
function record(id: string, prompt: readonly number[], answer: readonly number[]): TokenizedRecord {
  const named: EditRecord = { id, edit: { prompt: id, answer: id }, rephrasings: [], unrelated: [] };
  return { record: named, edit: { prompt, answer }, rephrasings: [], unrelated: [{ prompt: [9, 8, 7], answer: [6] }] };
}

test('a fact is edited, scored, saved and read back', async () => {
  const records = [record('one', [5, 17, 40], [101]), record('two', [12, 3], [77, 78])];
  const editable = await model.editing(model.layers());
  const editor = new FineTuning({ steps: 30, learningRate: 3e-2 });
  const { scores } = await scoreEdit(editable, editor, records, { batch: 2 });
  expect(scores).toMatchObject({ facts: 2, es: 1 });
  expect(scores.before.es).toBeLessThan(1);

  const batches = splitIntoBatches(
    records.map(({ edit }) => edit),
    { kind: 'decoder', batchSize: 2, sortByLength: true },
  );
  const shift = await editor.computeShift(
    editable,
    batches.map(({ batch }) => batch),
  );
  const modules = new Map<string, TensorOf<'f32'>>();
  for (const [name, resident] of shift) modules.set(name, await model.runtime.download<TensorOf<'f32'>>(resident));
  const work = mkdtempSync(join(tmpdir(), 'malmen-api-'));
  try {
    const path = join(work, 'shift.safetensors');
    const baseHash = await verifyWeights(model.folder);
    await saveShift(path, { baseHash, editor: editor.name, modules });
    expect(await loadShift(path)).toEqual({ baseHash, editor: 'ft', modules });
  } finally {
    rmSync(work, { recursive: true });
  }
});

test('a command is a function of options that emits events', async () => {
  const events: string[] = [];
  const context = { emit: ({ kind }: { kind: string }) => events.push(kind), signal: new AbortController().signal };
  const result = await inspect(options.inspectOptions.parse({ path: folder }), context);
  expect(result).toMatchObject({ kind: 'model', vocabulary: 211 });
  expect(events).toEqual(['table', 'table']);
  await expect(inspect(options.inspectOptions.parse({ path: join(folder, 'nowhere') }), context)).rejects.toThrow(
    MalmenError,
  );
});
