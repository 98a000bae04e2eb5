// The main job for models that are no decoders, as a user runs it: a T5 that answers questions and a BERT that checks claims are
// fitted, edited, saved, opened again and asked; and what each of them refuses.

import { cp, readFile, stat, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openModelFolder } from '../../src/checkpoint/model-folder.js';
import { loadShift } from '../../src/checkpoint/shift-file.js';
import { readTensor } from '../../src/checkpoint/stored-tensor.js';
import { type AskResult, ask } from '../../src/commands/ask.js';
import { check } from '../../src/commands/check.js';
import { edit } from '../../src/commands/edit.js';
import type { EditResult } from '../../src/commands/edit-result.js';
import { eval as evaluate } from '../../src/commands/eval.js';
import { type FitResult, fit } from '../../src/commands/fit.js';
import { askOptions, checkOptions, evalOptions } from '../../src/commands/options.js';
import { type TrainResult, train } from '../../src/commands/train.js';
import { readRecords } from '../../src/data/spec.js';
import { readEditorDescription } from '../../src/editors/editor-folder.js';
import type { FactReport } from '../../src/eval/fact-report.js';
import { collecting, editTiny, fitTiny, type TinyWorld, trainTiny } from './tiny-world.js';
import { claimWorld, questionWorld } from './worlds-of-kinds.js';

/** A world after the whole chain. */
interface Chain {
  readonly world: TinyWorld;
  readonly fitted: FitResult;
  readonly trained: TrainResult;
  readonly edited: EditResult;
  readonly events: ReturnType<typeof collecting>['events'];
}

const oneThread = { threads: 1 };
/** Takes a fact or two for certain, whatever a short training of an editor has learnt. */
const fineTuning = { editor: 'ft', ftSteps: 40, ftRate: 5e-3 };

async function runChain(world: TinyWorld, fitting: object, training: object): Promise<Chain> {
  const fitted = await fit(fitTiny(world, { ...oneThread, ...fitting }), collecting());
  const trained = await train(trainTiny(world, { ...oneThread, ...training }), collecting());
  const context = collecting();
  const edited = await edit(editTiny(world, oneThread), context);
  return { world, fitted, trained, edited, events: context.events };
}

const rowsOf = async ({ world }: Chain): Promise<FactReport[]> =>
  (await readFile(world.path('edited/facts.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

/** Weights are stored transposed, [valueSize, keySize], the shift is [keySize, valueSize]. */
async function expectBasePlusShift({ world }: Chain, layers: readonly string[]): Promise<void> {
  const base = await openModelFolder(world.path('lm'));
  const after = await openModelFolder(world.path('edited'));
  const { modules } = await loadShift(world.path('edited/shift.safetensors'));
  expect([...modules.keys()].sort()).toEqual([...layers].sort());
  expect([...after.tensors.keys()].sort()).toEqual([...base.tensors.keys()].sort());
  for (const [name, entry] of after.tensors) {
    const [was, is] = [await readTensor(base.tensors.get(name)!), await readTensor(entry)];
    const shift = modules.get(name.replace(/\.weight$/, ''));
    const [values, keys] = was.shape as [number, number];
    if (shift) expect(shift.shape).toEqual([keys, values]);
    const expected = shift
      ? Float32Array.from(was.data as Float32Array, (value, at) =>
          Math.fround(value + shift.data[(at % keys) * values + Math.floor(at / keys)]!),
        )
      : was.data;
    expect(is.data).toEqual(expected);
  }
}

async function evaluateShift({ world }: Chain) {
  const shift = world.path('edited/shift.safetensors');
  const options = { model: world.path('lm'), shift, records: `${world.data}#20`, ...oneThread };
  return evaluate(evalOptions.parse(options), collecting());
}

const askShift = ({ world }: Chain, prompt: string): Promise<AskResult> =>
  ask(
    askOptions.parse({ model: world.path('lm'), shift: world.path('edited/shift.safetensors'), prompt, ...oneThread }),
    collecting(),
  );

const refusal = (...words: string[]) => ({
  name: 'MalmenError',
  code: 'mismatch',
  message: expect.stringMatching(words.join('.*')),
});

describe('T5', () => {
  let chain: Chain;

  beforeAll(async () => {
    chain = await runChain(await questionWorld(), { epochs: 90 }, { steps: 10 });
  }, 300_000);

  afterAll(() => chain.world.remove());

  test('fit teaches it the answers, in a layout that its own family reads', async () => {
    expect(chain.fitted.exactMatch).toBeGreaterThan(0.9);
    const config = JSON.parse(await readFile(chain.world.path('lm/config.json'), 'utf8'));
    expect(config).toMatchObject({ pad_token_id: 0, eos_token_id: 1, decoder_start_token_id: 0 });
  });

  test('MLPs of encoder and decoder are edited at once', async () => {
    const layers = ['wi_0', 'wo'].flatMap((part) =>
      [0, 1].flatMap((block) => [
        `decoder.block.${block}.layer.2.DenseReluDense.${part}`,
        `encoder.block.${block}.layer.1.DenseReluDense.${part}`,
      ]),
    );
    expect([...chain.trained.layers].sort()).toEqual([...layers].sort());
    await expectBasePlusShift(chain, layers);
  });

  test('the saved checkpoint answers anew, and eval with the shift agrees', async () => {
    const { scores, exactMatch } = chain.edited;
    expect(scores.es).toBeGreaterThan(scores.before.es + 0.3);
    expect(scores.gs).toBeGreaterThan(scores.before.gs!);
    expect(exactMatch!.after).toBeGreaterThan(exactMatch!.before);
    const again = await evaluateShift(chain);
    expect(again.scores).toEqual(scores);
    expect(again.exactMatch).toEqual(exactMatch);
  });

  test('ask writes what the rows of the report say', async () => {
    const row = (await rowsOf(chain)).find(({ took }) => took)!;
    const said = await askShift(chain, row.prompt);
    expect(said.before.trim()).toBe(row.generated!.before.trim());
    expect(said.after!.trim()).toBe(row.generated!.after.trim());
    expect(said.after).not.toBe(said.before);
    expect(said).not.toHaveProperty('probability');
  });

  test('the end of an answer is edited with it: more is said as it should be than without', async () => {
    const editor = chain.world.path('endless-editor');
    await train(trainTiny(chain.world, { ...oneThread, steps: 10, ends: false, out: editor }), collecting());
    const endless = await edit(
      editTiny(chain.world, { ...oneThread, editor, out: chain.world.path('endless') }),
      collecting(),
    );
    expect((await readEditorDescription(chain.world.path('editor'))).ends).toBe(true);
    expect((await readEditorDescription(editor)).ends).toBe(false);
    expect(chain.edited.exactMatch!.after).toBeGreaterThan(endless.exactMatch!.after);
    // The edit does as the folder of its editor says.
    const endings = { ...(await readEditorDescription(chain.world.path('editor'))), ends: false };
    await cp(chain.world.path('editor'), chain.world.path('unended'), { recursive: true });
    await writeFile(chain.world.path('unended/editor.json'), JSON.stringify(endings));
    const out = chain.world.path('edited-unended');
    await edit(editTiny(chain.world, { ...oneThread, editor: chain.world.path('unended'), out }), collecting());
    const shiftOf = (folder: string) => readFile(chain.world.path(`${folder}/shift.safetensors`));
    expect(await shiftOf('edited-unended')).not.toEqual(await shiftOf('edited'));
  });

  test('what it says of made-up subjects is kept, too', async () => {
    const { world } = chain;
    const context = collecting();
    const keeping = {
      keep: `${world.data}#20:`,
      keepMadeUp: 60,
      keepPrompts: 40,
      rounds: 3,
      lambdaScale: 1,
      generate: false,
    };
    const kept = await edit(editTiny(world, { ...oneThread, ...keeping, out: world.path('made-up') }), context);
    expect(kept.scores.es).toBeGreaterThan(kept.scores.before.es);
    const stages = context.events.flatMap((event) => (event.kind === 'progress' ? [event.stage] : []));
    expect(stages).toContain('ask of made-up subjects');
  });

  test('claims with verdicts are refused, before anything is written', async () => {
    const claims = chain.world.path('claims.jsonl');
    await writeFile(
      claims,
      '{"claim": "Oslo is a city.", "label": "SUPPORTS"}\n{"claim": "Oslo is a pear.", "label": "REFUTES"}\n',
    );
    const options = editTiny(chain.world, { records: `fever:${claims}`, out: chain.world.path('wrong'), ...oneThread });
    await expect(edit(options, collecting())).rejects.toMatchObject(refusal("'REFUTES' is the verdict", 'bert'));
    await expect(stat(options.out)).rejects.toThrow();
  });
});

describe('BERT', () => {
  let chain: Chain;

  beforeAll(async () => {
    chain = await runChain(await claimWorld(), { epochs: 60 }, { steps: 30, initialRate: 3e-2, metaRate: 1e-3 });
  }, 300_000);

  afterAll(() => chain.world.remove());

  test('fit teaches it the verdicts', async () => {
    expect(chain.fitted.facts).toBe(60);
    expect(chain.fitted.exactMatch).toBeGreaterThan(0.9);
    const { scores } = await evaluate(
      evalOptions.parse({ model: chain.world.path('lm'), records: chain.world.data, ...oneThread }),
      collecting(),
    );
    // A verdict is either right or wrong: what is asked for is what the model does not say yet.
    expect(scores.es).toBeLessThan(0.1);
    expect(scores.ls).toBeGreaterThan(0.9);
  });

  test('output projections are edited', () =>
    expectBasePlusShift(
      chain,
      [0, 1].map((block) => `backbone.encoder.layer.${block}.output.dense`),
    ));

  test('the saved checkpoint turns its verdicts round, and eval with the shift agrees', async () => {
    const { scores } = chain.edited;
    expect(scores.es).toBeGreaterThan(scores.before.es + 0.3);
    expect(scores.gs).toBeGreaterThan(scores.before.gs!);
    const again = await evaluateShift(chain);
    expect(again.scores).toEqual(scores);
  });

  test('says that the rephrasings were made by rule, and writes nothing freely', async () => {
    expect(chain.events).toContainEqual({ kind: 'note', text: 'rephrasings of 20 of 20 records were made by rule' });
    expect(chain.edited).not.toHaveProperty('exactMatch');
    const rows = await rowsOf(chain);
    expect(rows).toHaveLength(20);
    expect(rows.filter((row) => 'generated' in row)).toEqual([]);
    expect(rows.filter(({ took }) => !took).map(({ id }) => id)).toEqual(chain.edited.failedIds);
  });

  test('ask gives the verdicts that the rows of the report say, and how sure they are', async () => {
    const row = (await rowsOf(chain)).find(({ took }) => took)!;
    const { before, after, probability } = await askShift(chain, row.prompt);
    expect(after).toBe(row.answer);
    expect(before).not.toBe(after);
    for (const share of [probability!.before, probability!.after!]) {
      expect(share).toBeGreaterThan(0.5);
      expect(share).toBeLessThanOrEqual(1);
    }
  });

  test('the editor keeps what it was trained on, and is of this model alone', async () => {
    const description = await readEditorDescription(chain.world.path('editor'));
    expect(description).toMatchObject({ method: 'malmen', preserves: true, base: { modelType: 'bert' } });
    const options = editTiny(chain.world, {
      model: chain.world.path('edited'),
      out: chain.world.path('wrong'),
      ...oneThread,
    });
    await expect(edit(options, collecting())).rejects.toMatchObject(refusal('another model'));
  });

  test('a spreadsheet of claims is enough; check finds the verdicts that stand already', async () => {
    const [first, second] = await readRecords(chain.world.data);
    const sheet = chain.world.path('own.csv');
    const rows = [`"${first!.edit.prompt}",${first!.edit.answer}`, `"${second!.edit.prompt}",${second!.was}`];
    await writeFile(sheet, `prompt,answer\n${rows.join('\n')}\n`);
    const found = await check(
      checkOptions.parse({ records: sheet, model: chain.world.path('lm'), ...oneThread }),
      collecting(),
    );
    expect(found.findings.map(({ kind, where }) => [kind, where])).toContainEqual(['already true', `${sheet}:3`]);
    const result = await edit(
      editTiny(chain.world, { records: sheet, out: chain.world.path('own'), ...fineTuning, ...oneThread }),
      collecting(),
    );
    expect(result).toMatchObject({ facts: 2, took: 2 });
    expect(result).not.toHaveProperty('neutral');
  });

  test('it says nothing of its own about made-up subjects', async () => {
    const rows = (await readRecords(`${chain.world.data}#20:`)).map(({ rephrasedBy: _, ...record }) => {
      const subject = record.edit.prompt.split(' ')[0]!;
      return { ...record, subject };
    });
    await writeFile(chain.world.path('named.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const keep = `jsonl:${chain.world.path('named.jsonl')}`;
    const options = editTiny(chain.world, {
      keep,
      keepMadeUp: 5,
      rounds: 2,
      out: chain.world.path('wrong'),
      ...oneThread,
    });
    await expect(edit(options, collecting())).rejects.toMatchObject(refusal('--keep-made-up'));
    await expect(stat(options.out)).rejects.toThrow();
  });

  test('a verdict has no end to learn', async () => {
    const options = trainTiny(chain.world, { ends: true, out: chain.world.path('ended'), ...oneThread });
    await expect(train(options, collecting())).rejects.toMatchObject(refusal('--ends'));
    await expect(stat(options.out)).rejects.toThrow();
  });

  test('questions with answers are refused, before anything is written', async () => {
    const sheet = chain.world.path('questions.csv');
    await writeFile(sheet, 'prompt,answer\nThe capital of Peru is,Quito\n');
    const options = editTiny(chain.world, { records: sheet, out: chain.world.path('wrong'), ...oneThread });
    await expect(edit(options, collecting())).rejects.toMatchObject(refusal("'Quito' is no verdict", 'fever:PATH'));
    await expect(stat(options.out)).rejects.toThrow();
  });
});
