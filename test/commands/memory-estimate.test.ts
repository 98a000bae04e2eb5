// What the memory estimate says of keys to preserve, against what the runtime holds of them.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddedModel } from '../../src/commands/demo.js';
import { equationSize } from '../../src/commands/equation-size.js';
import { estimateMemory } from '../../src/commands/memory-estimate.js';
import { jobsOf } from '../../src/commands/memory-job.js';
import { networkPassBytes } from '../../src/commands/network-memory.js';
import { splitIntoBatches } from '../../src/data/split-batches.js';
import type { TokenPair } from '../../src/data/tuple.js';
import type { PreservedKeys } from '../../src/editors/preserved-keys.js';
import { preservedMoments } from '../../src/editors/preserved-moments.js';
import type { EditableModel } from '../../src/engine/editable-model.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import { groupByShape } from '../../src/engine/layer-group.js';
import { residentMatrices } from '../../src/engine/resident-matrix.js';
import type { Resident } from '../../src/engine/runtime.js';
import type { MatrixOps } from '../../src/linalg/matrix-ops.js';

const layers = [1, 2].map((block) => `transformer.h.${block}.attn.c_proj`);
const facts = Array.from({ length: 6 }, (_, at): TokenPair => ({ prompt: [1 + at, 2, 3], answer: [4 + at] }));

describe('keys to preserve', () => {
  let model: LanguageModel;
  let editable: EditableModel;
  beforeAll(async () => {
    model = await LanguageModel.open(embeddedModel);
    editable = await model.editing(model.layers(layers));
    await heldBytes(); // the first pass brings weights of its own
  });
  afterAll(() => model.close());

  it('one edit solves in the white basis: moment and basis of every layer are counted, to the byte', async () => {
    const held = await heldBytes(async (keys, ops) => keys.basis(ops));
    expect(estimated(1, true) - estimated(1, false)).toBe(held);
  });

  it('as many edits as a key is wide: the moments, and half of the largest on its way into the solve', async () => {
    const edits = Math.max(...model.layers(layers).map(({ keySize }) => keySize));
    const held = await heldBytes();
    expect(estimated(edits, true) - estimated(edits, false)).toBe(held + (4 * edits ** 2) / 2);
  });

  it('frozen parts that an edit keeps in memory are counted beside the rest', () => {
    const network = { rank: 4, blocks: 2 };
    const job = { task: 'edit', model, layers: model.layers(layers), pairs: facts, edits: facts, tokens: 'answers', network } as const; // biome-ignore format: one line
    const peak = (frozenBytes: number) => estimateMemory('whole', jobsOf({ ...job, frozenBytes })(6)).peak;
    // What is pooled may grow with it.
    expect(peak(2e9) - peak(1e9)).toBe(1e9);
  });

  it('an edit that is scaled down holds its layers once more', () => {
    const wide = model.layers(model.definition.layers.map(({ name }) => name));
    const network = { rank: 1, blocks: 1 };
    const job = { task: 'edit', model, layers: wide, pairs: facts.slice(0, 1), edits: facts.slice(0, 1), tokens: 'answers', network } as const; // biome-ignore format: one line
    const peak = (eases: boolean) => estimateMemory('whole', jobsOf({ ...job, eases })(1)).peak;
    const layersBytes = 4 * wide.reduce((sum, { keySize, valueSize }) => sum + keySize * valueSize, 0);
    // And as much again that waits for the next output.
    expect(peak(true) - peak(false)).toBe(2 * layersBytes);
  });

  it('rows that wait on disk: one equation after another, none while rows are captured', () => {
    const edits = Array.from({ length: 2000 }, () => facts[0]!);
    const wide = model.layers(model.definition.layers.map(({ name }) => name));
    const network = { rank: 1, blocks: 1 };
    const job = { task: 'edit', model, layers: wide, pairs: facts, edits, tokens: 'answers', network } as const;
    const estimate = (spools: boolean) => estimateMemory('whole', { ...jobsOf(job)(1), spools });
    const { atOnce, oneByOne } = equationSize({ layers: wide, rows: 2000 });
    const [inMemory, onDisk] = [estimate(false), estimate(true)];
    expect(inMemory.normalEquations - onDisk.normalEquations).toBe(atOnce - oneByOne);
    expect(inMemory.peak - onDisk.peak).toBeGreaterThan(atOnce - oneByOne);
    const layersBytes = 4 * wide.reduce((sum, { keySize, valueSize }) => sum + keySize * valueSize, 0);
    expect(onDisk.peak).toBeLessThan(inMemory.peak - atOnce + oneByOne + layersBytes);
  });

  it('rows that wait on disk take no memory while a large batch is captured', () => {
    const prompt = Array.from({ length: 60 }, () => 1);
    const pairs = Array.from({ length: 100 }, (): TokenPair => ({ prompt, answer: [2] }));
    const layers = model.layers(model.definition.defaultLayers);
    const peak = (rows: number, spools: boolean) => {
      const edits = Array.from({ length: rows }, () => facts[0]!);
      const network = { rank: 1, blocks: 1 };
      const job = { task: 'edit', model, layers, pairs, edits, tokens: 'answers', network } as const;
      return estimateMemory('whole', { ...jobsOf(job)(100), spools }).peak;
    };
    expect(peak(400, true)).toBe(peak(200, true));
    expect(peak(400, false)).toBeGreaterThan(peak(200, false));
  });

  it('rows go through the networks with what they take there, also where a block takes less', () => {
    const prompt = Array.from({ length: 60 }, () => 1);
    const pairs = Array.from({ length: 100 }, (): TokenPair => ({ prompt, answer: [2] }));
    const layers = model.layers(model.definition.layers.map(({ name }) => name));
    const job = { task: 'edit', model, layers, pairs, edits: pairs, tokens: 'all' } as const;
    const network = { rank: 1, blocks: 1 };
    const { peak } = estimateMemory('blocks', { ...jobsOf({ ...job, network })(100), spools: true });
    const heights = groupByShape(layers).map((group) => 100 * 60 * group.layers.length);
    const pass = networkPassBytes(groupByShape(layers), heights, network, 8192);
    // The program itself, and what is pooled for the next outputs.
    expect(peak).toBeGreaterThanOrEqual(180e6 + pass + Math.min(256 * 2 ** 20, pass));
  });

  async function heldBytes(use?: (keys: PreservedKeys, ops: MatrixOps<Resident>) => Promise<unknown>) {
    const ops = residentMatrices(editable.runtime);
    const before = await editable.runtime.memory();
    const [whole] = splitIntoBatches(facts, { kind: 'decoder', batchSize: 6, sortByLength: false }); // biome-ignore format: one line
    const preserved = await preservedMoments(editable, [{ batch: whole!.batch }], { weight: 1, wordingWeight: 0 });
    for (const keys of preserved.values()) await use?.(keys, ops);
    const after = await editable.runtime.memory();
    for (const keys of preserved.values()) keys.release(ops);
    return after.residentBytes - before.residentBytes;
  }

  function estimated(edits: number, preserves: boolean): number {
    const many = Array.from({ length: edits }, () => facts[0]!);
    const job = {
      task: 'edit',
      model,
      layers: model.layers(layers),
      pairs: facts,
      edits: many,
      tokens: 'answers',
    } as const;
    return estimateMemory('whole', jobsOf({ ...job, network: { rank: 4, blocks: 2 }, preserves })(6)).normalEquations;
  }
});
