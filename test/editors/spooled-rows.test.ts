// An edit whose rows wait on disk: memory does not grow with the facts, one equation is there at a time, and whatever ends it
// early leaves neither files nor tensors.

import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { equationSize } from '../../src/commands/equation-size.js';
import { splitIntoBatches } from '../../src/data/split-batches.js';
import type { TokenPair } from '../../src/data/tuple.js';
import type { AnswerBatch, ComputeShiftOptions, EditProgress } from '../../src/editors/editor.js';
import { HyperEditor } from '../../src/editors/hyper-editor.js';
import { initialParameters } from '../../src/editors/hyper-network.js';
import { dampedMalmen } from '../../src/editors/malmen.js';
import { emptyMoments, ResidentNetwork } from '../../src/editors/resident-network.js';
import type { EditableModel } from '../../src/engine/editable-model.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import type { TensorOf } from '../../src/tensor.js';
import { Random } from '../../src/util/random.js';
import { fillDiskAtWrite } from '../checkpoint/failing-disk.js';
import { goldenModel, temporaryPaths } from '../checkpoint/temporary-folder.js';

const newPath = temporaryPaths();
const batchCount = 12;
let model: LanguageModel;
let editable: EditableModel;
let editor: HyperEditor;
let batches: readonly AnswerBatch[];

beforeAll(async () => {
  model = await LanguageModel.open(goldenModel('gpt2'), { threads: 1 });
  editable = await model.editing(model.layers());
  const networks: ResidentNetwork[] = [];
  for (const { keySize, valueSize, layers } of editable.groups) {
    const shape = { keySize, valueSize, layers: layers.length, rank: 4, blocks: 2, statistics: 'layer' } as const;
    const tensors = initialParameters(shape, { learningRate: 1e-2, logLambda: 0 }, new Random(1));
    const open = { shape, moments: emptyMoments(shape), rowLimit: 64 };
    networks.push(await ResidentNetwork.open(model.runtime, dampedMalmen, tensors, open));
  }
  editor = new HyperEditor(dampedMalmen, 'all', networks);
  batches = someBatches(model.definition.vocabularySize);
  // The first pass brings weights of its own.
  model.runtime.release(...(await editor.computeShift(editable, batches)).values());
});
afterAll(() => model.close());

/** Of equal size. */
function someBatches(vocabularySize: number): AnswerBatch[] {
  const random = new Random(7);
  const tokens = (count: number) => Array.from({ length: count }, () => random.integer(vocabularySize));
  const pairs = Array.from({ length: 2 * batchCount }, (): TokenPair => ({ prompt: tokens(5), answer: tokens(2) }));
  return splitIntoBatches(pairs, { kind: 'decoder', batchSize: 2, sortByLength: false }).map(({ batch }) => batch);
}

/** Bytes that residents hold after each batch. */
async function heldWhileFeeding(options: ComputeShiftOptions): Promise<number[]> {
  const held: Promise<{ residentBytes: number }>[] = [];
  const onProgress = () => void held.push(model.runtime.memory());
  const shift = await editor.computeShift(editable, batches, { ...options, onProgress });
  model.runtime.release(...shift.values());
  return (await Promise.all(held)).map(({ residentBytes }) => residentBytes);
}

test('residents do not grow with the batches that were captured', async () => {
  const held = await heldWhileFeeding({ spoolTo: newPath() });
  expect(held).toHaveLength(batchCount);
  expect(new Set(held).size).toBe(1);
  const without = await heldWhileFeeding({});
  expect(Math.min(...without)).toBeGreaterThan(held[0]!);
});

test('one layer after another is solved for: residents hold the shifts, one equation and a chunk at most', async () => {
  const rows = batches.reduce((sum, batch) => sum + editable.rowCounts(batch, 'all').get(editable.layers[0]!.name)!, 0);
  const { oneByOne, onDisk } = equationSize({ layers: editable.layers, rows });
  const shifts = editable.layers.reduce((sum, { keySize, valueSize }) => sum + 4 * keySize * valueSize, 0);
  const allowed = shifts + oneByOne + onDisk / batches.length;
  expect(await mostHeld({ spoolTo: newPath() })).toBeLessThanOrEqual(allowed);
  expect(await mostHeld({})).toBeGreaterThan(allowed);
});

/** Bytes beside those that were there before, whenever a program is about to run. */
async function mostHeld(options: ComputeShiftOptions): Promise<number> {
  const { runtime } = model;
  const { residentBytes: before } = await runtime.memory();
  const held: Promise<number>[] = [];
  const original = runtime.run.bind(runtime);
  const run = vi.spyOn(runtime, 'run').mockImplementation((...given) => {
    held.push(runtime.memory().then(({ residentBytes }) => residentBytes - before));
    return original(...given);
  });
  const shift = await editor.computeShift(editable, batches, options);
  run.mockRestore();
  runtime.release(...shift.values());
  return Math.max(...(await Promise.all(held)));
}

test('several rounds, with facts that are kept, give the same bits', async () => {
  const options = { rounds: 3, hold: 2, kept: () => batches.slice(0, 2) };
  const values = async (more: ComputeShiftOptions) => {
    const shift = await editor.computeShift(editable, batches, { ...options, ...more });
    const found = [];
    for (const one of shift.values()) found.push((await model.runtime.download<TensorOf<'f32'>>(one)).data);
    model.runtime.release(...shift.values());
    return found;
  };
  const told: EditProgress[] = [];
  const onSolve = (progress: EditProgress) => void told.push(progress);
  expect(await values({ spoolTo: newPath(), onSolve })).toEqual(await values({}));
  // Two more batches in each round after the first.
  const chunks = editable.layers.length * (3 * batchCount + 2 * 2);
  expect(told.map(({ done }) => done)).toEqual(Array.from({ length: chunks }, (_, at) => at + 1));
  expect(told.at(-1)!.total).toBe(chunks);
});

describe('nothing is left', () => {
  test.each([
    ['interrupted while rows are captured', 2],
    ['interrupted when all are captured', batchCount],
  ])('%s', async (_, at) => {
    const before = await model.runtime.memory();
    const controller = new AbortController();
    const spoolTo = newPath();
    const { signal } = controller;
    const onProgress = ({ done }: { done: number }) => done === at && controller.abort();
    await expect(editor.computeShift(editable, batches, { spoolTo, signal, onProgress })).rejects.toThrow(/abort/);
    expect(existsSync(spoolTo)).toBe(false);
    expect(await model.runtime.memory()).toEqual(before);
  });

  test('interrupted when a layer is solved', async () => {
    const before = await model.runtime.memory();
    const controller = new AbortController();
    const spoolTo = newPath();
    const { signal } = controller;
    const onSolve = ({ done }: EditProgress) => done === batchCount + 1 && controller.abort();
    await expect(editor.computeShift(editable, batches, { spoolTo, signal, onSolve })).rejects.toThrow(/abort/);
    expect(existsSync(spoolTo)).toBe(false);
    expect(await model.runtime.memory()).toEqual(before);
  });

  test('by a disk that is full', async () => {
    const before = await model.runtime.memory();
    const spoolTo = newPath();
    const disk = await fillDiskAtWrite(9);
    const error = await editor.computeShift(editable, batches, { spoolTo }).catch((e) => e);
    disk.restore();
    expect(error).toMatchObject({ code: 'no-space' });
    expect(existsSync(spoolTo)).toBe(false);
    expect(await model.runtime.memory()).toEqual(before);
  });
});
