// The main job on a tiny world, as a user runs it: fit, train, edit, evaluate, ask; and what is refused.

import { readFile, stat, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openModelFolder } from '../../src/checkpoint/model-folder.js';
import { loadShift } from '../../src/checkpoint/shift-file.js';
import { readTensor } from '../../src/checkpoint/stored-tensor.js';
import { ask } from '../../src/commands/ask.js';
import { edit } from '../../src/commands/edit.js';
import type { EditResult } from '../../src/commands/edit-result.js';
import { eval as evaluate } from '../../src/commands/eval.js';
import type { CommandEvent } from '../../src/commands/events.js';
import { type FitResult, fit } from '../../src/commands/fit.js';
import { inspect } from '../../src/commands/inspect.js';
import { keptPrompts } from '../../src/commands/kept-prompts.js';
import { answeredByModel } from '../../src/commands/made-up-subjects.js';
import { askOptions, evalOptions, inspectOptions } from '../../src/commands/options.js';
import { type Subject, tokenizeFor, withSubject } from '../../src/commands/subject.js';
import { train } from '../../src/commands/train.js';
import { withEnds } from '../../src/data/ended-records.js';
import { readRecords } from '../../src/data/spec.js';
import { type TokenizedRecord, tokenizeRecords } from '../../src/data/tokenized-record.js';
import type { TokenPair } from '../../src/data/tuple.js';
import { loadEditor, readEditorDescription } from '../../src/editors/editor-folder.js';
import type { EditableModel } from '../../src/engine/editable-model.js';
import { HostedRuntime } from '../../src/engine/hosted-runtime.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import { MemoryRecords } from '../../src/engine/memory-records.js';
import type { Resident } from '../../src/engine/runtime.js';
import { type AnswerPrediction, success } from '../../src/eval/metrics.js';
import { predictPairs } from '../../src/eval/predict.js';
import { scoreEdit } from '../../src/eval/score-edit.js';
import { f32 } from '../../src/tensor.js';
import { openTokenizer } from '../../src/tokenizer/tokenizer.js';
import { expectClose, largestValue } from '../parity/closeness.js';
import { collecting, editTiny, fitTiny, type TinyWorld, tinyWorld, trainTiny } from './tiny-world.js';

let world: TinyWorld;
let fitted: FitResult;
let edited: EditResult;

beforeAll(async () => {
  world = await tinyWorld();
  fitted = await fit(fitTiny(world), collecting());
  await train(trainTiny(world), collecting());
  edited = await edit(editTiny(world), collecting());
}, 300_000);

afterAll(() => world.remove());

test('fit teaches the facts', () => {
  expect(fitted.facts).toBe(60);
  expect(fitted.exactMatch).toBeGreaterThan(0.9);
});

describe('edit', () => {
  test('the saved checkpoint is the base plus the saved shift, in the edited layers only', async () => {
    const base = await openModelFolder(world.path('lm'));
    const after = await openModelFolder(world.path('edited'));
    const { modules } = await loadShift(world.path('edited/shift.safetensors'));
    for (const [name, entry] of after.tensors) {
      const [was, is] = [await readTensor(base.tensors.get(name)!), await readTensor(entry)];
      const shift = modules.get(name.replace(/\.weight$/, ''));
      const expected = shift
        ? Float32Array.from(was.data as Float32Array, (value, at) => Math.fround(value + shift.data[at]!))
        : was.data;
      expect(is.data).toEqual(expected);
    }
    expect([...modules.keys()]).toEqual(['transformer.h.0.mlp.c_proj', 'transformer.h.1.mlp.c_proj']);
  });

  test('takes the rounds and the lambda that its editor was trained for, unless told otherwise', async () => {
    await train(trainTiny(world, { out: world.path('editor-3'), rounds: 3, lambdaScale: 5 }), collecting());
    const shiftOf = async (name: string, more: object = {}) => {
      const options = { editor: world.path('editor-3'), out: world.path(name), generate: false, ...more };
      await edit(editTiny(world, options), collecting());
      return readFile(world.path(`${name}/shift.safetensors`));
    };
    const stored = await shiftOf('edited-as-trained');
    expect(await shiftOf('edited-as-told', { rounds: 3, lambdaScale: 5 })).toEqual(stored);
    expect(await shiftOf('edited-twice', { rounds: 2 })).not.toEqual(stored);
    expect(await shiftOf('edited-harder', { lambdaScale: 1 })).not.toEqual(stored);
  });

  test('every fact has its row, failures are named', async () => {
    const rows = (await readFile(world.path('edited/facts.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rows).toHaveLength(20);
    expect(rows.filter(({ took }) => !took).map(({ id }) => id)).toEqual(edited.failedIds);
    expect(edited.took + edited.failedIds.length).toBe(20);
    expect(edited.verified).toContain('from disk');
  });

  test('eval of the base with the shift gives the scores of the saved checkpoint', async () => {
    const options = {
      model: world.path('lm'),
      shift: world.path('edited/shift.safetensors'),
      records: `${world.data}#20`,
    };
    const { scores, exactMatch } = await evaluate(evalOptions.parse(options), collecting());
    expect(scores).toEqual(edited.scores);
    expect(exactMatch).toEqual(edited.exactMatch);
  });

  test('without a shift, nothing changes', async () => {
    const options = { model: world.path('lm'), records: `${world.data}#20`, generate: false };
    const { scores } = await evaluate(evalOptions.parse(options), collecting());
    expect(scores.unchanged).toBe(1);
    expect(scores.es).toBe(scores.before.es);
    expect(scores.before).toEqual(edited.scores.before);
  });

  test('fine-tuning goes the same way', async () => {
    const result = await edit(
      editTiny(world, { editor: 'ft', out: world.path('ft'), ftSteps: 30, ftRate: 5e-3 }),
      collecting(),
    );
    expect(result.editor).toBe('ft');
    expect(result.scores.es).toBeGreaterThan(result.scores.before.es);
  });

  test('the same edit again gives the same numbers', async () => {
    const again = await edit(editTiny(world, { out: world.path('again') }), collecting());
    expect(again.scores).toEqual(edited.scores);
    expect(again.layers).toEqual(edited.layers);
  });

  test('rounds only add to the shift', async () => {
    const twice = await edit(editTiny(world, { out: world.path('twice'), rounds: 2, generate: false }), collecting());
    expect(twice.scores.es).toBeGreaterThanOrEqual(twice.scores.before.es);
    expect(twice.layers[0]!.shiftNorm).not.toBe(edited.layers[0]!.shiftNorm);
  });

  test('what lies below the edited layers is computed in the first round only, and gives the same shift', async () => {
    const read = vi.spyOn(MemoryRecords.prototype, 'read');
    const write = vi.spyOn(MemoryRecords.prototype, 'write');
    const clear = vi.spyOn(MemoryRecords.prototype, 'clear');
    const shiftOf = async (out: string, rounds: number) => {
      const { facts } = await edit(editTiny(world, { out: world.path(out), rounds, generate: false }), collecting());
      const found = (await Promise.all(read.mock.results.map(({ value }) => value))).filter(Boolean).length;
      read.mockClear();
      return { found: found / facts, modules: (await loadShift(world.path(`${out}/shift.safetensors`))).modules };
    };
    try {
      await shiftOf('computed-once', 1);
      expect(write, 'an edit of one round keeps nothing').not.toHaveBeenCalled();
      const kept = await shiftOf('kept-frozen', 3);
      expect(kept.found).toBe(2);
      expect(clear).toHaveBeenCalledTimes(2);
      write.mockResolvedValue();
      const computed = await shiftOf('computed-anew', 3);
      expect(computed.found).toBe(0);
      for (const [layer, { data }] of computed.modules) {
        const largest = Math.max(...data.map(Math.abs));
        const off = Math.max(...data.map((value, at) => Math.abs(value - kept.modules.get(layer)!.data[at]!)));
        expect(off).toBeLessThan(2e-3 * largest);
      }
    } finally {
      vi.restoreAllMocks();
    }
  });
});

test('ask says the answer before and after, the same each time', async () => {
  const options = askOptions.parse({
    model: world.path('lm'),
    shift: world.path('edited/shift.safetensors'),
    prompt: 'The capital of',
    temperature: 1,
    seed: 3,
  });
  const first = await ask(options, collecting());
  expect(await ask(options, collecting())).toEqual(first);
  expect(first.after).toBeDefined();
});

test('inspect tells a model, an editor and a file apart', async () => {
  const kinds = [];
  for (const name of ['lm', 'editor', 'edited/shift.safetensors']) {
    kinds.push((await inspect(inspectOptions.parse({ path: world.path(name) }), collecting())).kind);
  }
  expect(kinds).toEqual(['model', 'editor', 'file']);
});

test.each([
  [1, true],
  [3e-3, false],
])('train at an initial rate of %s warns of a bad start: %s', async (initialRate, warns) => {
  const context = collecting();
  await train(trainTiny(world, { steps: 1, initialRate, out: world.path(`rate-${initialRate}`) }), context);
  const warnings = context.events.flatMap((event) => (event.kind === 'warning' ? [event.text] : []));
  expect(warnings.some((text) => text.includes('--initial-rate'))).toBe(warns);
});

describe('edit --ease', () => {
  const shiftOf = async (folder: string) => {
    const { modules } = await loadShift(world.path(`${folder}/shift.safetensors`));
    return [...modules.values()].flatMap(({ data }) => [...data]);
  };

  test('scales the shift down to what the facts allow, and no further', async () => {
    const more = { ease: 0.2, rounds: 12, lambdaScale: 0.1, out: world.path('eased') };
    const { eased, took } = await edit(editTiny(world, more), collecting());
    const { took: whole } = await edit(editTiny(world, { ...more, ease: 0, out: world.path('uneased') }), collecting());
    expect(eased!.took).toEqual({ whole, eased: took });
    expect(eased!.factor).toBeLessThan(1);
    const uneased = await shiftOf('uneased');
    const found = await shiftOf('eased');
    expect(largestValue(found)).toBeGreaterThan(0);
    expectClose('eased shift', found, uneased.map((value) => eased!.factor * value), 1e-6); // biome-ignore format: one line
    const report = await readFile(world.path('eased/report.html'), 'utf8');
    expect(report).toMatch(new RegExp(`shift scaled down to<.*>${eased!.factor.toFixed(2)}<`));
    const allowed = whole - Math.floor(0.2 * whole);
    expect(took).toBeGreaterThanOrEqual(allowed);
    expect(await tookAt(eased!.factor - 0.01)).toBeLessThan(allowed);
  });

  test('of a shift under which no fact takes nothing is taken back', async () => {
    const options = { ease: 0.2, rounds: 3, lambdaScale: 1000, out: world.path('nothing') };
    expect((await edit(editTiny(world, options), collecting())).eased).toEqual({
      factor: 1,
      took: { whole: 0, eased: 0 },
    });
  });

  test('the whole shift goes once it has been scaled down: as little is held in the end as without', async () => {
    const close = HostedRuntime.prototype.close;
    const held: number[] = [];
    const spied = vi.spyOn(HostedRuntime.prototype, 'close').mockImplementation(async function (this: HostedRuntime) {
      held.push((await this.memory()).residents);
      await close.call(this);
    });
    const heldAtTheEnd = async (ease: number) => {
      held.length = 0;
      const options = { ease, generate: false, force: true, out: world.path('held') };
      await edit(editTiny(world, options), collecting());
      return [...held];
    };
    const without = await heldAtTheEnd(0);
    expect(without.length).toBeGreaterThan(0);
    expect(await heldAtTheEnd(0.2)).toEqual(without);
    spied.mockRestore();
  });

  test('what reading has left is given back before the rounds, and what these have left before the model is asked', async () => {
    const trim = vi.spyOn(HostedRuntime.prototype, 'trim');
    const given: Record<string, Set<number>> = { edit: new Set(), 'ask before': new Set() };
    const context = collecting();
    const emit = (event: CommandEvent) => {
      if (event.kind === 'progress') given[event.stage]?.add(trim.mock.calls.length);
    };
    await edit(editTiny(world, { generate: false, out: world.path('trimmed') }), { ...context, emit });
    trim.mockRestore();
    expect(given).toEqual({ edit: new Set([1]), 'ask before': new Set([2]) });
  });

  test('without, the whole shift is saved', async () => {
    expect((await edit(editTiny(world, { out: world.path('whole') }), collecting())).eased).toBeUndefined();
  });

  /** Facts whose answer stands under a part of the whole shift, asked one by one. */
  async function tookAt(factor: number): Promise<number> {
    const model = await LanguageModel.open(world.path('lm'));
    const description = await readEditorDescription(world.path('editor'));
    const editable = await model.editing(model.layers(description.layers));
    const tokenizer = await openTokenizer(world.path('lm'));
    const records = await tokenizeRecords(tokenizer, await readRecords(`${world.data}#20`), model.definition);
    const { modules } = await loadShift(world.path('uneased/shift.safetensors'));
    const part = new Map<string, Resident>();
    for (const [name, { shape, data }] of modules) {
      const some = Float32Array.from(data, (value) => factor * value);
      part.set(name, await model.runtime.upload(f32(some, shape)));
    }
    const weights = await editable.shifted(part);
    let took = 0;
    for (const { edit: pair } of records) {
      const [[prediction]] = (await predictPairs(editable, [weights], [pair], { batch: 1 })) as [[AnswerPrediction]];
      if (success(prediction) === 1) took++;
    }
    await model.close();
    return took;
  }
});

describe('edit --keep', () => {
  const keep = () => ({ keep: `${world.data}#20:`, rounds: 6, lambdaScale: 1, generate: false });

  test('all prompts of the facts that stay, or those of the records alone', async () => {
    await withSubject({ model: world.path('lm'), device: 'cpu' }, collecting(), async (subject) => {
      const edited = await tokenizeFor(subject, await readRecords(`${world.data}#20`));
      const facts = await readRecords(`${world.data}#20:`);
      const staying = await tokenizeFor(subject, facts);
      const kept = async (keepWordings: boolean) => {
        const asked = { keep: 'known', facts, keepWordings, keepMadeUp: 0, seed: 1, ends: false };
        return (await keptPrompts(subject, edited, asked)).known;
      };
      const own = staying.map(({ edit: { prompt }, was }) => ({ prompt, answer: was! }));
      expect(await kept(false)).toEqual(own);
      const others = staying.flatMap(({ rephrasings, was }) =>
        rephrasings.map(({ prompt }) => ({ prompt, answer: was! })),
      );
      const all = await kept(true);
      expect(all).toHaveLength(own.length + others.length);
      expect(all).toEqual(expect.arrayContaining([...own, ...others]));
    });
  });

  /** Share of the kept facts' prompts that are still answered as they were. */
  async function stillTrue(name: string): Promise<number> {
    const records = (await readRecords(`${world.data}#20:`)).map(({ was, ...record }) => {
      return { ...record, edit: { ...record.edit, answer: was! }, rephrasings: [], unrelated: [] };
    });
    await writeFile(world.path('kept.jsonl'), records.map((record) => `${JSON.stringify(record)}\n`).join(''));
    const options = { model: world.path(name), records: `jsonl:${world.path('kept.jsonl')}`, generate: false };
    return (await evaluate(evalOptions.parse(options), collecting())).scores.es;
  }

  test('repairs what the shift damages, the same way for the same seed', async () => {
    const { keep: spec, ...alone } = keep();
    const without = await edit(editTiny(world, { ...alone, out: world.path('unkept') }), collecting());
    const beside = await edit(editTiny(world, { ...alone, keep: spec, out: world.path('kept') }), collecting());
    await edit(editTiny(world, { ...alone, keep: spec, out: world.path('kept-again') }), collecting());
    const [first, again] = ['kept', 'kept-again'].map((name) => readFile(world.path(`${name}/shift.safetensors`)));
    expect(await again).toEqual(await first);
    expect(await stillTrue('kept')).toBeGreaterThan(await stillTrue('unkept'));
    expect(beside.scores.es).toBeGreaterThan(without.scores.es - 0.2);
  });

  test('holds what stands: the more firmly, the more of it is left', async () => {
    const options = { ...keep(), keep: undefined, rounds: 4 };
    for (const hold of [1, 300])
      await edit(editTiny(world, { ...options, hold, out: world.path(`hold-${hold}`) }), collecting());
    expect(await stillTrue('hold-300')).toBeGreaterThan(await stillTrue('hold-1'));
  });

  test('nothing stands before the first round: it is solved as without', async () => {
    const model = await LanguageModel.open(world.path('lm'));
    const description = await readEditorDescription(world.path('editor'));
    expect(description.ends).toBe(false);
    const editable = await model.editing(model.layers(description.layers));
    const editor = await loadEditor(world.path('editor'), description, editable, 8192);
    const tokenizer = await openTokenizer(world.path('lm'));
    const records = await tokenizeRecords(tokenizer, await readRecords(`${world.data}#20`), model.definition);
    const scoresOf = async (more: object) =>
      (await scoreEdit(editable, editor, records, { batch: 8, ...more })).rows.map(({ after }) => after);
    const alike = await scoresOf({ rounds: 1 });
    expect(await scoresOf({ rounds: 1, hold: 1000 })).toEqual(alike);
    const told = withEnds(records, tokenizer.endOfText!, model.definition);
    expect(await scoresOf({ rounds: 1, told })).not.toEqual(alike);
    expect(await scoresOf({ rounds: 3, hold: 1000 })).not.toEqual(await scoresOf({ rounds: 3 }));
    await model.close();
  });

  test.each([
    ['fine-tuning', () => ({ editor: 'ft' })],
    ['an edit of one round', () => ({ rounds: 1 })],
  ])('%s cannot hold', async (_, more) => {
    const options = { hold: 5, generate: false, ...more(), out: world.path('never') };
    await expect(edit(editTiny(world, options), collecting())).rejects.toThrow('--hold');
  });

  test.each<[string, () => object | Promise<object>, string]>([
    ['of plain fine-tuning', () => ({ editor: 'ft' }), 'fine-tuning'],
    ['of an editor that is not damped', trainUndamped, '--no-damped'],
    ['in an edit of one round', () => ({ rounds: 1 }), '--rounds'],
    ['of nothing but edited prompts', () => ({ keep: `${world.data}#20` }), 'is not edited'],
  ])('%s is refused', async (_, more, word) => {
    const options = { ...keep(), ...(await more()), out: world.path('never') };
    await expect(edit(editTiny(world, options), collecting())).rejects.toThrow(word);
    await expect(stat(world.path('never'))).rejects.toThrow();
  });

  async function trainUndamped(): Promise<object> {
    const editor = world.path('undamped');
    await train(trainTiny(world, { out: editor, steps: 1, damped: false }), collecting());
    return { editor };
  }
});

describe('edit --keep-made-up', () => {
  const keeping = { keep: () => `${world.data}#20:`, rounds: 6, lambdaScale: 1, generate: false };
  const options = (more: object) => editTiny(world, { ...keeping, keep: keeping.keep(), ...more });

  /** Prompts about made-up subjects of another seed than the edit's, under what the unedited model says of them. */
  async function withUnedited<R>(
    use: (asked: { editable: EditableModel; pairs: readonly TokenPair[]; subject: Subject }) => Promise<R>,
  ): Promise<R> {
    return withSubject({ model: world.path('lm'), device: 'cpu' }, collecting(), async (subject) => {
      const records = await tokenizeFor(subject, await readRecords(`${world.data}#20`));
      const { madeUp } = await keptPrompts(subject, records, {
        keep: keeping.keep(),
        facts: await readRecords(keeping.keep()),
        keepWordings: true,
        keepMadeUp: 300,
        seed: 1,
        ends: false,
      });
      const editable = await subject.model.editing(subject.model.layers());
      const pairs = await answeredByModel(subject, editable, madeUp, { batch: 50, ends: false }, collecting());
      return use({ editable, pairs, subject });
    });
  }

  /** Share of these prompts whose whole answer is the most likely one under the saved checkpoint. */
  async function stillSaid(model: string, pairs: readonly TokenPair[]): Promise<number> {
    return withSubject({ model, device: 'cpu' }, collecting(), async (subject) => {
      const editable = await subject.model.editing([]);
      const found = await predictPairs(editable, [editable.base], pairs, { batch: 50 });
      return found.filter(([said]) => success(said!) === 1).length / pairs.length;
    });
  }

  test('keeps what the model says: of made-up subjects that the edit has not seen more stays than without', async () => {
    const without = await edit(options({ out: world.path('named') }), collecting());
    const beside = await edit(options({ keepMadeUp: 400, keepPrompts: 200, out: world.path('made-up') }), collecting());
    await edit(options({ keepMadeUp: 400, keepPrompts: 200, out: world.path('made-up-again') }), collecting());
    const pairs = await withUnedited(async (asked) => asked.pairs);
    expect(await stillSaid(world.path('lm'), pairs)).toBe(1);
    expect(await stillSaid(beside.out, pairs)).toBeGreaterThan((await stillSaid(without.out, pairs)) + 0.05);
    const [first, again] = ['made-up', 'made-up-again'].map((name) =>
      readFile(world.path(`${name}/shift.safetensors`)),
    );
    expect(await again).toEqual(await first);
  });

  test('none is a prompt that the edit is judged by, and each can be read with its answer', async () => {
    await withUnedited(async ({ pairs, subject: { tokenizer } }) => {
      const texts = await tokenizer.decode(pairs.map(({ prompt }) => prompt));
      const records = await readRecords(`${world.data}#20`);
      const judged = records.flatMap(({ edit: own, rephrasings, unrelated }) => [own, ...rephrasings, ...unrelated]);
      for (const { prompt } of judged) expect(texts).not.toContain(prompt);
      expect(pairs.length).toBeGreaterThan(200);
      for (const { prompt, answer } of pairs) expect(prompt.length + answer.length - 1).toBeLessThanOrEqual(24);
    });
  });

  test('nor is one about a subject that the edit changes', async () => {
    await withSubject({ model: world.path('lm'), device: 'cpu' }, collecting(), async (subject) => {
      const records = await tokenizeFor(subject, await readRecords(`${world.data}#20`));
      const madeUpBeside = async (edited: readonly TokenizedRecord[]) => {
        const facts = await readRecords(keeping.keep());
        const options = { keep: keeping.keep(), facts, keepWordings: true, keepMadeUp: 300, seed: 1, ends: false };
        const { madeUp } = await keptPrompts(subject, edited, options);
        return subject.tokenizer.decode(madeUp.map(({ prompt }) => prompt));
      };
      const named = (texts: readonly string[]) =>
        texts.flatMap((text) => /^The pet of (.*) is a$/.exec(text)?.[1] ?? []);
      const [name] = named(await madeUpBeside(records));
      const others = records.map((one) => ({ ...one, record: { ...one.record, subject: name! } }));
      expect(named(await madeUpBeside(others))).not.toContain(name);
    });
  });

  test('ends are kept where they are edited: behind what ended, not behind what was cut off', async () => {
    await withUnedited(async ({ editable, subject, pairs }) => {
      const room = pairs.map(({ prompt }) => ({ prompt, answer: [0, 0] }));
      const ask = (ends: boolean) => answeredByModel(subject, editable, room, { batch: 50, ends }, collecting());
      const [open, ended] = [await ask(false), await ask(true)];
      const end = subject.tokenizer.endOfText!;
      expect(ended.map(({ answer }) => answer)).toEqual(
        open.map(({ answer }) => (answer.length === 2 ? answer : [...answer, end])),
      );
      for (const length of [1, 2]) expect(open.some(({ answer }) => answer.length === length)).toBe(true);
    });
  });

  test.each<[string, () => object | Promise<object>, string]>([
    ['without facts to keep', () => ({ keep: undefined }), 'add --keep'],
    ['where nothing names its subject', nameless, 'names its subject'],
  ])('%s is refused', async (_, more, words) => {
    const asked = options({ keepMadeUp: 5, ...(await more()), out: world.path('never') });
    await expect(edit(asked, collecting())).rejects.toThrow(words);
    await expect(stat(world.path('never'))).rejects.toThrow();
  });

  async function nameless(): Promise<object> {
    const rows = (await readRecords(keeping.keep())).map(({ subject: _, ...record }) => record);
    await writeFile(world.path('nameless.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return { keep: `jsonl:${world.path('nameless.jsonl')}` };
  }
});

describe('edit of facts with other wordings', () => {
  /** The first 20 facts; `told`: with their rephrasings as wordings, else asked in those. */
  async function variant(name: string, told: boolean): Promise<string> {
    const rows = (await readRecords(`${world.data}#20`)).map(({ rephrasings, ...record }) => {
      const prompts = rephrasings.map(({ prompt }) => prompt);
      const asked = { ...record, edit: { ...record.edit, prompt: prompts[0]! }, rephrasings: [] };
      return told ? { ...record, wordings: prompts, rephrasings: [] } : asked;
    });
    await writeFile(world.path(name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return `jsonl:${world.path(name)}`;
  }

  async function factRowsOf(out: string): Promise<{ prompt: string; wordings: string[] }[]> {
    const lines = (await readFile(`${out}/facts.jsonl`, 'utf8')).trimEnd().split('\n');
    return lines.map((line) => JSON.parse(line));
  }

  const scoreOf = async (model: string, records: string) =>
    (await evaluate(evalOptions.parse({ model, records, generate: false }), collecting())).scores.es;

  test('learns from them: they are answered where the prompts alone would not do, and so are the prompts', async () => {
    const context = collecting();
    const records = await variant('told.jsonl', true);
    const rounds = { rounds: 5, lambdaScale: 1, generate: false };
    const told = await edit(editTiny(world, { ...rounds, records, out: world.path('told') }), context);
    const alone = await edit(editTiny(world, { ...rounds, out: world.path('untold') }), collecting());
    const asked = await variant('asked.jsonl', false);
    const [after, before] = [await scoreOf(told.out, asked), await scoreOf(alone.out, asked)];
    expect(after).toBeGreaterThan(before);
    expect(told.scores.es).toBeGreaterThan(alone.scores.es - 0.1);
    const notes = context.events.flatMap((event) => (event.kind === 'note' ? [event.text] : []));
    expect(notes).toContainEqual(
      expect.stringMatching(/^20 of 20 facts have other wordings \(at most \d+\): the rounds/),
    );
  });

  test('what a wording asks is edited: it cannot be kept', async () => {
    const records = await variant('told.jsonl', true);
    const keep = await variant('asked.jsonl', false);
    const options = { records, keep, rounds: 3, generate: false, out: world.path('never') };
    await expect(edit(editTiny(world, options), collecting())).rejects.toThrow('is not edited');
  });

  test('borrowed from facts that stay, they do the same for facts that were told in one prompt', async () => {
    const rows = (await readRecords(`${world.data}#20`)).map((record) => ({ ...record, rephrasings: [] }));
    await writeFile(world.path('one-prompt.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const records = `jsonl:${world.path('one-prompt.jsonl')}`;
    const options = { records, keep: `${world.data}#20:`, rounds: 5, lambdaScale: 1, generate: false };
    const context = collecting();
    const borrowed = await edit(
      editTiny(world, { ...options, borrowWordings: 3, out: world.path('borrowed') }),
      context,
    );
    const alone = await edit(editTiny(world, { ...options, out: world.path('not-borrowed') }), collecting());
    const asked = await variant('asked.jsonl', false);
    expect(await scoreOf(borrowed.out, asked)).toBeGreaterThan((await scoreOf(alone.out, asked)) + 0.05);
    const notes = context.events.flatMap((event) => (event.kind === 'note' ? [event.text] : []));
    expect(notes).toContainEqual(expect.stringMatching(/^20 of 20 facts have other wordings/));
    for (const { prompt, wordings } of await factRowsOf(borrowed.out)) {
      expect(wordings.length).toBeGreaterThan(0);
      expect(wordings).not.toContain(prompt);
    }
  });

  test.each([
    ['without facts to keep', false, 'add --keep'],
    ['where a fact has no subject', true, 'must name its `subject`'],
  ])('%s none can be borrowed', async (_, keep, words) => {
    const rows = (await readRecords(`${world.data}#20`)).map(({ subject, ...record }) => record);
    await writeFile(world.path('no-subject.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const records = `jsonl:${world.path('no-subject.jsonl')}`;
    const options = { records, ...(keep ? { keep: `${world.data}#20:` } : {}), borrowWordings: 1, rounds: 3 };
    await expect(edit(editTiny(world, { ...options, out: world.path('never') }), collecting())).rejects.toThrow(words);
  });

  test('an edit of one round says that it does not use them', async () => {
    const context = collecting();
    const records = await variant('told.jsonl', true);
    await edit(editTiny(world, { rounds: 1, records, generate: false, out: world.path('one-round') }), context);
    const notes = context.events.flatMap((event) => (event.kind === 'note' ? [event.text] : []));
    expect(notes).toContainEqual(expect.stringContaining('not used: this edit makes one round'));
  });
});

describe('refused', () => {
  const refuse = (promise: Promise<unknown>, code: string, ...words: string[]) =>
    promise.then(
      () => expect.unreachable('was not refused'),
      (error) => {
        expect(error).toMatchObject({ name: 'MalmenError', code });
        for (const word of words) expect(error.message).toContain(word);
      },
    );

  test('a filled output folder, which stays as it was', async () => {
    await refuse(edit(editTiny(world), collecting()), 'exists', '--force');
    expect(await stat(world.path('edited/facts.jsonl'))).toBeDefined();
  });

  test.each([
    ['the base itself', 'lm'],
    ['a folder around it', '.'],
  ])('to write over %s, even when forced, before any work', async (_, out) => {
    const weights = await readFile(world.path('lm/model.safetensors'));
    const context = collecting();
    const refused = edit(editTiny(world, { out: world.path(out), force: true }), context);
    await expect(refused).rejects.toThrow('would replace the base model');
    expect(context.events.some((event) => event.kind === 'progress' && event.stage === 'edit')).toBe(false);
    expect(await readFile(world.path('lm/model.safetensors'))).toEqual(weights);
  });

  test('an editor of another model', async () => {
    await refuse(
      edit(editTiny(world, { model: world.path('edited'), out: world.path('wrong') }), collecting()),
      'mismatch',
      'another model',
    );
    await expect(stat(world.path('wrong'))).rejects.toThrow();
  });

  test('a shift of another model', async () => {
    const options = evalOptions.parse({
      model: world.path('edited'),
      shift: world.path('edited/shift.safetensors'),
      records: world.data,
    });
    await refuse(evaluate(options, collecting()), 'mismatch', 'another model');
  });

  test('an editor that is not trained yet', async () => {
    await refuse(
      edit(editTiny(world, { editor: world.dir, out: world.path('wrong') }), collecting()),
      'not-found',
      'editor.json',
    );
  });

  test('a layer that is not there', async () => {
    const options = editTiny(world, { editor: 'ft', layers: ['h.9.mlp.c_proj'], out: world.path('wrong') });
    await refuse(edit(options, collecting()), 'not-found', 'h.9.mlp.c_proj', 'h.1.mlp.c_proj');
  });

  test('a prompt longer than the context', async () => {
    const options = askOptions.parse({ model: world.path('lm'), prompt: 'The capital of '.repeat(40) });
    await refuse(ask(options, collecting()), 'bad-input', '24');
  });

  test('more edits at once than there are facts', async () => {
    await refuse(
      train(trainTiny(world, { edits: 500, out: world.path('many') }), collecting()),
      'bad-input',
      '500',
      '40',
    );
  });

  test('to keep true answers that the data does not say; unasked, it is only said', async () => {
    const records = await readRecords(world.data);
    const lines = records.map(({ was, ...record }) => `${JSON.stringify(record)}\n`);
    await writeFile(world.path('silent.jsonl'), lines.join(''));
    const silent = { data: `jsonl:${world.path('silent.jsonl')}`, out: world.path('silent'), steps: 1 };
    await refuse(
      train(trainTiny(world, { ...silent, preserve: 2 }), collecting()),
      'bad-input',
      '--preserve 2',
      '`was`',
    );
    await expect(stat(silent.out)).rejects.toThrow();
    const context = collecting();
    await train(trainTiny(world, silent), context);
    expect(context.events).toContainEqual({ kind: 'note', text: expect.stringMatching(/^no known answers are kept/) });
    expect((await readEditorDescription(silent.out)).preserves).toBe(false);
  });
});
