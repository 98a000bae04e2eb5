// When the rows of an edit wait on disk, and that the command then writes the same edit and leaves nothing else.

import { readdirSync, readFileSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { embeddedModel } from '../../src/commands/demo.js';
import { edit } from '../../src/commands/edit.js';
import { type EquationJob, equationSize } from '../../src/commands/equation-size.js';
import type { CommandContext } from '../../src/commands/events.js';
import { fit } from '../../src/commands/fit.js';
import { estimateMemory, type MemoryJob } from '../../src/commands/memory-estimate.js';
import { jobsOf } from '../../src/commands/memory-job.js';
import { isWorthSpooling, type SpoolingOptions, spoolsRows } from '../../src/commands/row-spooling.js';
import { train } from '../../src/commands/train.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import { parseByteSize } from '../../src/util/byte-size.js';
import { demoWorld } from './made-up-world.js';
import { collecting, editTiny, fitTiny, type TinyWorld, trainTiny, worldOf } from './tiny-world.js';

const notes = ({ events }: ReturnType<typeof collecting>) => events.flatMap((event) => (event.kind === 'note' ? [event.text] : [])); // biome-ignore format: one line

describe('what the equations take', () => {
  const layers = [
    { keySize: 100, valueSize: 20 },
    { keySize: 40, valueSize: 30 },
  ];

  test('dual: rows of every layer, and the largest solve', () => {
    expect(equationSize({ layers, rows: 10 })).toEqual({
      atOnce: 4 * (10 * 120 + 10 * 70 + (10 * 10 + 5 * 10 * 30)),
      oneByOne: 4 * Math.max(10 * 120 + 100 + 50 * 20, 10 * 70 + 100 + 50 * 30),
      onDisk: 4 * 10 * (120 + 70),
    });
  });

  test('primal: half a square, a product and gathered rows; they do not grow with the facts', () => {
    const one = { layers: [{ keySize: 3072, valueSize: 768 }], rows: 3 * 8192 };
    const sums = 3072 ** 2 / 2 + 3072 * 768 + 512 * (3072 + 768);
    expect(equationSize(one)).toEqual({
      atOnce: 4 * (sums + 2 * 3072 * 768),
      oneByOne: 4 * (sums + 2 * 3072 * 768),
      onDisk: 4 * 3 * 8192 * (3072 + 768),
    });
    const twice: EquationJob = { ...one, layers: [...one.layers, ...one.layers] };
    expect(equationSize(twice).atOnce - equationSize(one).atOnce).toBe(4 * sums);
    expect(equationSize(twice).oneByOne).toBe(equationSize(one).oneByOne);
    expect(equationSize({ ...twice, rows: 9e6 }).atOnce).toBe(equationSize(twice).atOnce);
  });
});

describe('rows wait on disk', () => {
  const layer = { keySize: 3072, valueSize: 768 };
  const job = (more: object = {}) =>
    ({ task: 'edit', layers: Array.from({ length: 6 }, () => layer), rows: 3 * 512, network: { rank: 4, blocks: 2 }, ...more }) as unknown as MemoryJob; // biome-ignore format: one line
  const chosen = async (one: MemoryJob, options: Partial<SpoolingOptions> = {}) => {
    const context = collecting();
    return { spools: await spoolsRows(one, tmpdir(), { spool: true, ...options }, context), said: notes(context) };
  };

  test('where it saves enough, and it is said', async () => {
    const { spools, said } = await chosen(job());
    expect(spools).toBe(true);
    expect(said).toEqual([
      expect.stringMatching(/^rows wait on the disk of the output, 142 MB .*: 118 MB less memory$/),
    ]);
  });

  test('not for a few facts, for one layer, for MEND or without a network', async () => {
    const none = { spools: false, said: [] };
    expect(await chosen(job({ rows: 3 * 64 }))).toEqual(none);
    expect(await chosen(job({ layers: [layer], rows: 3 * 8192 }))).toEqual(none);
    expect(await chosen(job({ network: { rank: 4, blocks: 2, editor: 'mend' } }))).toEqual(none);
    expect(await chosen(job({ network: undefined }))).toEqual(none);
    expect(await chosen(job({ task: 'train' }))).toEqual(none);
  });

  test('not where it is not wanted', async () => {
    expect(await chosen(job(), { spool: false })).toEqual({ spools: false, said: [] });
  });

  test('sooner where memory is tight', () => {
    const some = job({ rows: 3 * 128 });
    expect([isWorthSpooling(some, false), isWorthSpooling(some, true)]).toEqual([false, true]);
    expect(isWorthSpooling(job({ rows: 3 * 8 }), true)).toBe(false);
  });

  test('tight is a limit that the whole model does not fit into', async () => {
    const model = await LanguageModel.open(embeddedModel);
    const layers = model.layers(model.definition.layers.map(({ name }) => name));
    const edits = Array.from({ length: 700 }, () => ({ prompt: [1, 2], answer: [3] }));
    const network = { rank: 1, blocks: 1 };
    const some = jobsOf({ task: 'edit', model, layers, pairs: edits, edits, tokens: 'answers', network })(1);
    await model.close();
    const { peak } = estimateMemory('whole', some);
    const within = async (bytes: number) => (await chosen(some, { memory: `${Math.floor(bytes / 1000)}KB` })).spools;
    expect([await within(peak - 1e6), await within(peak + 1e6)]).toEqual([true, false]);
  });

  test('not where the disk has no room, which is said', async () => {
    const { bavail, bsize } = statfsSync(tmpdir());
    const width = layer.keySize + layer.valueSize;
    const { spools, said } = await chosen(job({ rows: Math.ceil((2 * bavail * bsize) / (4 * 6 * width)) }));
    expect(spools).toBe(false);
    expect(said).toEqual([expect.stringMatching(/^rows stay in memory: .* on the disk of the output/)]);
  });

  test('a folder that is missing is named', async () => {
    const missing = join(tmpdir(), 'no such folder');
    await expect(spoolsRows(job(), missing, { spool: true }, collecting())).rejects.toThrow(missing);
  });
});

describe('the command', () => {
  let world: TinyWorld;
  beforeAll(async () => {
    const config = { model_type: 'gpt2', n_layer: 18, n_embd: 16, n_head: 1, n_inner: 4096, n_positions: 24 };
    world = await worldOf({ config, kind: 'jsonl', rows: demoWorld(90, 1) });
    await fit(fitTiny(world, { epochs: 1 }), collecting());
    await train(trainTiny(world, { tokens: 'all', steps: 1, rounds: 1, preserve: 0, layers: allLayers }), collecting());
  }, 120_000);
  afterAll(() => world.remove());

  const allLayers = Array.from({ length: 18 }, (_, at) => `transformer.h.${at}.mlp.c_proj`);
  const records = () => `${world.data}#60`;

  test('writes the same edit, to the bit, and no rows stay', async () => {
    const inMemory = collecting();
    await edit(
      editTiny(world, { records: records(), out: world.path('in-memory'), generate: false, spool: false, rounds: 2 }),
      inMemory,
    );
    const spooled: CommandContext & { events: unknown[] } = collecting();
    await edit(editTiny(world, { records: records(), out: world.path('spooled'), generate: false, rounds: 2 }), spooled); // biome-ignore format: one line
    expect(notes(inMemory).join()).not.toContain('rows wait');
    expect(notes(spooled as ReturnType<typeof collecting>).join()).toContain('rows wait on the disk');
    const shift = (name: string) => readFileSync(join(world.path(name), 'shift.safetensors'));
    expect(shift('spooled').equals(shift('in-memory'))).toBe(true);
    expect(readdirSync(world.path('spooled')).sort()).toEqual(readdirSync(world.path('in-memory')).sort());
  }, 120_000);

  test('plans its memory with rows on disk', async () => {
    const planned = async (spool: boolean): Promise<number> => {
      const controller = new AbortController();
      const context = collecting(controller.signal);
      const emit: CommandContext['emit'] = (event) => {
        context.emit(event);
        if (event.kind === 'progress' && event.stage === 'edit') controller.abort();
      };
      const options = editTiny(world, { records: records(), out: world.path('planned'), memory: '3GB', spool });
      await expect(edit(options, { ...context, emit })).rejects.toThrow();
      const [, size] = /memory 3\.00 GB: .* they need about (.*)/.exec(notes(context).join('\n'))!;
      return parseByteSize(size!.replace(' ', ''));
    };
    expect((await planned(false)) - (await planned(true))).toBeGreaterThan(90e6);
  }, 120_000);

  test('keeps nothing on disk for MEND', async () => {
    const editor = world.path('mend');
    const training = { editor: 'mend', tokens: 'all', steps: 1, preserve: 0, layers: allLayers, out: editor };
    await train(trainTiny(world, training), collecting());
    const context = collecting();
    await edit(editTiny(world, { editor, records: records(), out: world.path('mended'), generate: false }), context);
    expect(notes(context).join()).not.toContain('rows wait');
  }, 120_000);

  test('interrupted in between leaves neither output nor rows', async () => {
    const controller = new AbortController();
    const context = collecting(controller.signal);
    const seen: string[] = [];
    const stopping: CommandContext = {
      signal: controller.signal,
      emit: (event) => {
        context.emit(event);
        if (event.kind !== 'progress' || event.stage !== 'edit' || event.done < 2) return;
        seen.push(...readdirSync(world.dir, { recursive: true, encoding: 'utf8' }).filter((name) => /[/\\]rows[/\\].*\.rows$/.test(name))); // biome-ignore format: one line
        controller.abort();
      },
    };
    const options = editTiny(world, { records: records(), out: world.path('stopped'), batch: 8 });
    await expect(edit(options, stopping)).rejects.toThrow();
    expect(seen.length).toBeGreaterThanOrEqual(4);
    expect(readdirSync(world.dir).filter((name) => name.includes('stopped'))).toEqual([]);
  }, 120_000);
});
