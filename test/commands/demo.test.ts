// The embedded model from its committed files, and the demonstration from end to end, small.

import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { alternateWorld } from '../../src/commands/alternate-world.js';
import { spreadOverRelations } from '../../src/commands/before-and-after.js';
import { demo, embeddedModel } from '../../src/commands/demo.js';
import { demoOptions } from '../../src/commands/options.js';
import { readRecords } from '../../src/data/spec.js';
import { tokenizeRecords } from '../../src/data/tokenized-record.js';
import type { TokenPair } from '../../src/data/tuple.js';
import { editorFormat, readEditorDescription } from '../../src/editors/editor-folder.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import { success } from '../../src/eval/metrics.js';
import { predictPairs } from '../../src/eval/predict.js';
import { openTokenizer } from '../../src/tokenizer/tokenizer.js';
import { collecting } from './tiny-world.js';

/** Share of the pairs that the embedded model answers whole. */
async function known(model: LanguageModel, pairs: readonly TokenPair[]): Promise<number> {
  const editable = await model.editing([]);
  const found = await predictPairs(editable, [editable.base], pairs, { batch: 200 });
  return found.filter(([answer]) => success(answer!) === 1).length / pairs.length;
}

describe('the embedded model', () => {
  let model: LanguageModel;
  beforeAll(async () => {
    model = await LanguageModel.open(embeddedModel);
  });
  afterAll(() => model.close());

  test.each([
    ['trained phrasings', 'atlas:#:300', 0.97],
    ['phrasings that it never saw', 'atlas-held-out:#:300', 0.9],
  ])('knows atlas in %s', { timeout: 120_000 }, async (_, spec, least) => {
    const records = await tokenizeRecords(
      await openTokenizer(embeddedModel),
      await readRecords(spec),
      model.definition,
    );
    const pairs = records.flatMap(({ rephrasings, was }) =>
      rephrasings.map(({ prompt }) => ({ prompt, answer: was! })),
    );
    expect(await known(model, pairs)).toBeGreaterThan(least);
  });
});

describe('the demonstration', () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'malmen-demo-'));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  test('edits, saves, shows; run again, it does not learn again', { timeout: 300_000 }, async () => {
    const options = demoOptions.parse({ out: join(dir, 'run'), facts: 20, steps: 2 });
    const context = collecting();
    const first = await demo(options, context);
    expect(first.edit.facts).toBe(20);
    expect(first.edit.scores.es).toBeGreaterThan(first.edit.scores.before.es);
    expect(existsSync(join(dir, 'run', 'edited', 'shift.safetensors'))).toBe(true);
    const { options: used } = JSON.parse(await readFile(join(dir, 'run', 'edited', 'edit.json'), 'utf8'));
    expect(used).toMatchObject({
      keep: expect.stringContaining('outside'),
      keepPrompts: 40,
      keepMadeUp: 160,
      hold: 30,
      ease: 0.01,
    });
    // In a checkout, runs/ is what git ignores: elsewhere an edited model would count as part of the repository.
    const outputs = context.events.flatMap((event) =>
      event.kind === 'note' ? (/ --out (\S+)/.exec(event.text)?.[1] ?? []) : [],
    );
    expect(outputs).toEqual(['runs/edited']);
    const tables = context.events.filter(({ kind }) => kind === 'table');
    expect(tables.at(-1)).toMatchObject({ columns: ['prompt', 'before', 'after', ''] });

    const again = collecting();
    const second = await demo(options, again);
    expect(second.edit.scores).toEqual(first.edit.scores);
    expect(again.events.filter((event) => event.kind === 'progress' && event.stage === 'train')).toEqual([]);
    expect(await readdir(join(dir, 'run'))).toContain('edited');
  });

  test('an editor that another version finished is learnt anew', { timeout: 300_000 }, async () => {
    const editor = join(dir, 'run', 'editor-malmen-20-0-2');
    for (const file of ['train.json', 'editor.json']) {
      const json = JSON.parse(await readFile(join(editor, file), 'utf8'));
      expect(json.format).toBe(editorFormat);
      await writeFile(join(editor, file), JSON.stringify({ ...json, format: 'malmen-editor-1' }));
    }
    const context = collecting();
    await demo(demoOptions.parse({ out: join(dir, 'run'), facts: 20, steps: 2 }), context);
    expect(context.events).toContainEqual({
      kind: 'note',
      text: `${editor} was made by another version: learning anew`,
    });
    expect((await readEditorDescription(editor)).format).toBe(editorFormat);
  });

  test('more facts than leave something to learn from are refused', async () => {
    const options = demoOptions.parse({ out: join(dir, 'many'), facts: 3500 });
    await expect(demo(options, collecting())).rejects.toThrow(/at most \d+ can be edited at once/);
  });

  test('facts are told in trained phrasings of their own, as many as asked for', async () => {
    const trained = new Map((await readRecords('atlas:')).map((record) => [record.id, record]));
    const { edited } = await alternateWorld({ facts: 50, seed: 0, wordings: 2 });
    for (const { id, edit, wordings, rephrasings } of edited) {
      const own = trained.get(id)!.rephrasings.map(({ prompt }) => prompt);
      expect(new Set(wordings).size).toBe(2);
      expect(own).toEqual(expect.arrayContaining([...wordings!]));
      for (const { prompt } of rephrasings) expect([edit.prompt, ...own]).not.toContain(prompt);
    }
    const { edited: plain } = await alternateWorld({ facts: 50, seed: 0, wordings: 0 });
    expect(plain).toEqual(edited.map(({ wordings, ...record }) => record));
  });

  test('facts are shown by relation, not by success', async () => {
    const records = await readRecords('atlas-held-out:#:50');
    const shown = spreadOverRelations(records, 8);
    expect(new Set(shown.map(({ relation }) => relation)).size).toBe(8);
    expect(shown[0]).toBe(records[0]);
  });
});
