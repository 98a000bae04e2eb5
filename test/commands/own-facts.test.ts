// From an example file to an edited model with facts of one's own: init, check, edit and eval of a spreadsheet of two columns.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { loadShift } from '../../src/checkpoint/shift-file.js';
import { runCli } from '../../src/cli/run.js';
import { check } from '../../src/commands/check.js';
import { edit } from '../../src/commands/edit.js';
import { eval as evaluate } from '../../src/commands/eval.js';
import { fit } from '../../src/commands/fit.js';
import { init } from '../../src/commands/init.js';
import { checkOptions, evalOptions, initOptions } from '../../src/commands/options.js';
import { readRecords } from '../../src/data/spec.js';
import { FakeTerminal } from '../cli/fake-terminal.js';
import { root } from '../house/source-files.js';
import { demoWorld } from './made-up-world.js';
import { collecting, editTiny, fitTiny, type TinyWorld, tinyWorld } from './tiny-world.js';

let world: TinyWorld;

beforeAll(async () => {
  world = await tinyWorld(60);
  await fit(fitTiny(world, { epochs: 30, threads: 1 }), collecting());
}, 300_000);

afterAll(() => world.remove());

const facts = demoWorld(60, 1);

/** A spreadsheet of these rows below a heading. */
async function sheet(name: string, heading: string, rows: readonly (readonly string[])[]): Promise<string> {
  await writeFile(world.path(name), [heading, ...rows.map((row) => row.join(';'))].join('\r\n'));
  return world.path(name);
}

const twoColumns = () =>
  sheet(
    'own.csv',
    'prompt;answer',
    facts.slice(0, 4).map((fact) => [fact.edit.prompt, fact.edit.answer]),
  );
const fineTuning = { editor: 'ft', ftSteps: 40, ftRate: 5e-3, threads: 1 };

describe('init', () => {
  test('writes facts that check finds fine, and settings that edit knows; never over anything', async () => {
    const dir = world.path('new/my facts');
    const { files, next } = await init(initOptions.parse({ path: dir }), collecting());
    expect(files).toEqual([join(dir, 'facts.csv'), join(dir, 'edit.yaml')]);
    expect(next[0]).toBe(`npx malmen check "${files[0]}"`);
    const found = await check(checkOptions.parse({ records: files[0] }), collecting());
    expect(found).toMatchObject({ facts: 3, fine: 3, problems: 0, remarks: 0 });
    const settings = parseYaml(await readFile(files[1]!, 'utf8'));
    expect(settings).toEqual({
      model: 'path/to/model',
      editor: 'path/to/editor',
      records: files[0],
      out: join(dir, 'edited'),
    });
    const before = await readFile(files[0]!);
    await expect(init(initOptions.parse({ path: dir }), collecting())).rejects.toMatchObject({ code: 'exists' });
    expect(await readFile(files[0]!)).toEqual(before);
  });

  test.each(['facts.jsonl', 'facts.csv'])('writes %s alone', async (name) => {
    const path = world.path(`${name.replace('.', '-only.')}`);
    expect((await init(initOptions.parse({ path }), collecting())).files).toEqual([path]);
    expect((await readRecords(path)).length).toBeGreaterThan(1);
  });
});

describe('check with a model', () => {
  test('finds what is true already, too long, and cannot be read; exit code 1', async () => {
    const known = facts[0]!;
    const long = Array.from({ length: 40 }, () => 'the river').join(' ');
    const path = await sheet('mixed.csv', 'prompt;answer', [
      [known.edit.prompt, known.was!],
      [long, 'Sael'],
      ['A short one', ''],
      [facts[1]!.edit.prompt, facts[1]!.edit.answer],
    ]);
    const result = await check(
      checkOptions.parse({ records: path, model: world.path('lm'), threads: 1 }),
      collecting(),
    );
    const kinds = result.findings.filter(({ kind }) => kind !== 'blank token').map(({ where, kind }) => [where, kind]);
    expect(kinds).toEqual([
      [`${path}:2`, 'already true'],
      [`${path}:3`, 'too long'],
      [`${path}:4`, 'unreadable'],
    ]);
    expect(result).toMatchObject({ facts: 3, problems: 2 });
    const terminal = new FakeTerminal();
    expect(await runCli(['check', path, '--json'], terminal)).toBe(1);
    expect(JSON.parse(terminal.stdout.text)).toMatchObject({ facts: 3, problems: 1 });
    expect(await runCli(['check', await twoColumns()], new FakeTerminal())).toBe(0);
  });
});

describe('two columns', () => {
  test('edit leaves GS out and measures locality on neutral prompts, and eval agrees', async () => {
    const records = await twoColumns();
    const context = collecting();
    const edited = await edit(editTiny(world, { ...fineTuning, records, out: world.path('own') }), context);
    expect(edited.scores.es).toBeGreaterThan(edited.scores.before.es);
    expect(edited.scores).not.toHaveProperty('gs');
    expect(edited.scores).not.toHaveProperty('unchanged');
    const neutral = edited.neutral!;
    expect(neutral.prompts).toBeGreaterThan(10);
    expect(neutral.unchanged).toBeGreaterThanOrEqual(0);
    expect(neutral.unchanged).toBeLessThan(1);
    expect(neutral.sameText).toBeLessThan(1);
    const table = context.events.find((event) => event.kind === 'table')!;
    const names = table.kind === 'table' ? table.rows.map(([name]) => name) : [];
    expect(names).toContain(`unchanged predictions on ${neutral.prompts} neutral prompts`);
    expect(names.some((name) => String(name).startsWith('GS'))).toBe(false);
    const asked = { model: world.path('lm'), shift: world.path('own/shift.safetensors'), records, threads: 1 };
    const again = await evaluate(evalOptions.parse(asked), collecting());
    expect(again.neutral).toEqual(neutral);
    expect(again).not.toHaveProperty('probabilities');
  });

  test('records with unrelated prompts are measured on those; probabilities when asked for', async () => {
    const asked = {
      model: world.path('lm'),
      shift: world.path('own/shift.safetensors'),
      records: `${world.data}#4`,
      threads: 1,
    };
    const out = world.path('rows.jsonl');
    const result = await evaluate(evalOptions.parse({ ...asked, probabilities: true, out }), collecting());
    expect(result).not.toHaveProperty('neutral');
    expect(result.probabilities!.after).toMatchObject({ facts: 4, efficacy: 1 });
    expect(result.probabilities!.before.efficacyMagnitude).toBeLessThan(result.probabilities!.after.efficacyMagnitude);
    const [row] = (await readFile(out, 'utf8')).split('\n');
    const { odds } = JSON.parse(row!);
    expect(odds.after.edit.answer).toBeGreaterThan(odds.after.edit.was);
    expect(odds.before.unrelated).toHaveLength(facts[0]!.unrelated.length);
  });
});

/** Lines of the README's `sh` blocks that call the program, without the call. */
async function readmeCommands(): Promise<string[]> {
  const text = await readFile(join(root, 'README.md'), 'utf8');
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block]) => block!);
  return blocks.flatMap((block) => block.split('\n')).flatMap((line) => /^npx malmen (.*)$/.exec(line)?.[1] ?? []);
}

/** The small model, its world and folder in place of the README's names, and steps as few as will do. */
function inTinyWorld(line: string): string[] {
  const places: Readonly<Record<string, string>> = {
    'path/to/gpt2': world.path('lm'),
    'jsonl:train.jsonl': world.data,
    'facts.csv': world.path('own.csv'),
  };
  const words = (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ''));
  const placed = words.map((word) => places[word] ?? word.replace(/^runs\//, `${world.path('readme')}/`));
  const small = words[0] === 'train' ? ['--steps', '2', '--edits', '6', '--rank', '8', '--batch', '8'] : [];
  return [...placed, ...small, ...(words[0] === 'inspect' || words[0] === 'init' ? [] : ['--threads', '1']), '--quiet'];
}

test('the commands of the README run, one after another, on a small model', async () => {
  await twoColumns();
  const lines = await readmeCommands();
  expect(lines.map((line) => line.split(' ')[0])).toEqual(['init', 'check', 'inspect', 'train', 'edit', 'ask', 'eval']);
  for (const line of lines) {
    const terminal = new FakeTerminal();
    expect([line, await runCli(inTinyWorld(line), terminal), terminal.stderr.text]).toEqual([line, 0, '']);
  }
});

test('the example edits a model with the public API as the command does', async () => {
  const { editModel } = await import('../../examples/edit-a-model.js');
  const shift = world.path('example.safetensors');
  const paths = { model: world.path('lm'), editor: world.path('readme/editor'), records: await twoColumns(), shift };
  const scores = await editModel(paths);
  expect(scores.facts).toBe(4);
  const [own, edited] = [await loadShift(shift), await loadShift(world.path('readme/edited/shift.safetensors'))];
  for (const [layer, { data }] of edited.modules) {
    const largest = Math.max(...data.map(Math.abs));
    const found = own.modules.get(layer)!.data;
    expect(largest).toBeGreaterThan(0);
    expect(Math.max(...data.map((value, at) => Math.abs(value - found[at]!))) / largest, layer).toBeLessThan(1e-3);
  }
  const asked = { model: paths.model, shift, records: paths.records, threads: 1, generate: false };
  expect((await evaluate(evalOptions.parse(asked), collecting())).scores.es).toBeCloseTo(scores.es, 6);
});
