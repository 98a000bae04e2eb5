// `malmen demo`: the main job from end to end on the embedded model, which knows atlas: learn to edit, edit many facts at once, save, ask.

import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EditRecord } from '../data/record.js';
import { fileError, MalmenError } from '../errors.js';
import { alternateWorld, type World, type WorldFiles, writeWorld } from './alternate-world.js';
import { beforeAndAfter } from './before-and-after.js';
import { edit } from './edit.js';
import type { EditResult } from './edit-result.js';
import type { CommandContext } from './events.js';
import { type DemoOptions, editOptions, type TrainOptions, trainOptions } from './options.js';
import { train } from './train.js';

/** What the whole job made, and how long it took. */
export interface DemoResult {
  readonly out: string;
  readonly edit: EditResult;
  readonly seconds: number;
}

/** The model that comes with malmen: its card says how it was made. */
export const embeddedModel = fileURLToPath(new URL('../../models/atlas', import.meta.url));

/** Facts edited at once in a training step: enough to learn from, few enough for a step of seconds. */
const editsPerStep = 300;

/** Facts that may be lost for what stays: the aims allow two in a hundred. */
const ease = 0.01;

/** How firmly the edit holds what stands: it makes enough rounds to afford it (docs/log.md). */
const hold = 30;

/** For each fact to edit: prompts that stay, drawn for each round, and prompts about made-up subjects to draw from beside the facts that stay. */
const kept = { promptsARound: 2, madeUp: 8 };

/** All but the first block: with it, later rounds settle less well (docs/log.md). */
const layers = [1, 2, 3].map((block) => `transformer.h.${block}.mlp.c_proj`);

/** What each method learns with. */
const recipes = {
  malmen: { initialRate: 1e-2, rounds: 32, lambdaScale: 10 },
  mend: { initialRate: 1e-3, metaRate: 3e-4, tokens: 'answers' },
} as const;

/**
 * A training that an earlier run finished is not done again, one that was interrupted goes on.
 * @throws MalmenError `interrupted`, which says that running it again continues
 */
export async function demo(options: DemoOptions, context: CommandContext): Promise<DemoResult> {
  return wholeJob(options, context).catch((error) => {
    if (!context.signal.aborted) throw error;
    throw new MalmenError('interrupted', 'the demonstration is not over; run the same command again and it goes on');
  });
}

async function wholeJob(options: DemoOptions, context: CommandContext): Promise<DemoResult> {
  const start = performance.now();
  const { out, facts, seed, wordings } = options;
  await assertEmbeddedModel();
  await openFolder(options);
  const world = await alternateWorld({ facts, seed, wordings });
  const files = await writeWorld(out, `world-${facts}-${seed}`, world);
  const editor = await learn(options, world, files, context);
  const result = await change(options, editor, files, context);
  await show(options, world.edited, context);
  tellNext(out, editor, world.edited[0]!, context);
  return { out, edit: result, seconds: (performance.now() - start) / 1000 };
}

async function assertEmbeddedModel(): Promise<void> {
  await stat(join(embeddedModel, 'model.safetensors')).catch(() => {
    throw new MalmenError('not-found', `${embeddedModel}: the embedded model is missing; install malmen again`);
  });
}

/** Makes the folder; with `force`, removes what an earlier demonstration left there, and nothing else. */
async function openFolder({ out, force }: DemoOptions): Promise<void> {
  await mkdir(out, { recursive: true }).catch((error) => {
    throw fileError(error, out, 'creating the folder');
  });
  if (!force) return;
  for (const name of await readdir(out)) {
    if (/^(edited$|editor-|world-)/.test(name)) await rm(join(out, name), { recursive: true });
  }
}

const editedFolder = (out: string) => join(out, 'edited');

function commonOptions({ seed, device, threads }: DemoOptions) {
  return { model: embeddedModel, seed, device, batch: 200, ...(threads === undefined ? {} : { threads }) };
}

/** Trains the editor. @returns its folder */
async function learn(
  options: DemoOptions,
  { outside }: World,
  files: WorldFiles,
  context: CommandContext,
): Promise<string> {
  const { facts, seed, steps, editor: method } = options;
  const out = join(options.out, `editor-${method}-${facts}-${seed}-${steps}`);
  const text = `1/3 learning to edit (${method}) on ${outside.length} facts that will not be edited`;
  context.emit({ kind: 'note', text, style: 'heading' });
  const training = {
    ...commonOptions(options),
    ...recipes[method],
    data: `jsonl:${files.outside}`,
    editor: method,
    out,
    resume: true,
    steps,
    edits: Math.min(editsPerStep, outside.length),
    redraw: true,
    layers,
  };
  await goOnOrAnew(trainOptions.parse(training), context);
  return out;
}

/** Goes on where an earlier run stopped, unless that was another version's demonstration, which learned otherwise. */
async function goOnOrAnew(options: TrainOptions, context: CommandContext): Promise<void> {
  try {
    await train(options, context);
  } catch (error) {
    if (!(error instanceof MalmenError && error.code === 'mismatch')) throw error;
    context.emit({ kind: 'note', text: `${options.out} was made by another version: learning anew` });
    await train({ ...options, resume: false, force: true }, context);
  }
}

function change(
  options: DemoOptions,
  editor: string,
  { edited, outside }: WorldFiles,
  context: CommandContext,
): Promise<EditResult> {
  const text = `2/3 editing ${options.facts} facts at once into an alternate world, saving the model, asking what was saved`;
  context.emit({ kind: 'note', text, style: 'heading' });
  const out = editedFolder(options.out);
  const { promptsARound, madeUp } = kept;
  const sparing = { keepPrompts: promptsARound * options.facts, keepMadeUp: madeUp * options.facts, hold, ease };
  const keep = options.editor === 'malmen' ? { keep: `jsonl:${outside}`, ...sparing } : {};
  const editing = { ...commonOptions(options), ...keep, editor, records: `jsonl:${edited}`, out, force: true };
  return edit(editOptions.parse(editing), context);
}

async function show(options: DemoOptions, edited: readonly EditRecord[], context: CommandContext): Promise<void> {
  const text = '3/3 what the model said before, and what the edited one says';
  context.emit({ kind: 'note', text, style: 'heading' });
  const models = { ...commonOptions(options), edited: editedFolder(options.out) };
  context.emit(await beforeAndAfter(models, edited, context));
}

function tellNext(out: string, editor: string, { edit: { prompt } }: EditRecord, { emit }: CommandContext): void {
  const model = relative('', embeddedModel) || '.';
  const shift = join(editedFolder(out), 'shift.safetensors');
  const steps = [
    ['ask it yourself:', `ask --model ${model} --shift ${shift} "${prompt}"`],
    ['facts of your own: write an example file, put yours in, check them,', 'init facts.csv'],
    ['', `check facts.csv --model ${model}`],
    ['and edit them:', `edit --model ${model} --editor ${editor} --records facts.csv --out runs/edited`],
  ];
  emit({ kind: 'note', text: 'What to type next', style: 'heading' });
  for (const [text, command] of steps) {
    if (text) emit({ kind: 'note', text });
    emit({ kind: 'note', text: `npx malmen ${command}`, style: 'command' });
  }
}
