// `malmen demo`: the main job from end to end on the embedded model, which knows atlas: learn to edit, edit many facts at once, save, ask.

import { mkdir, rm, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { atlasFolder, atlasRecords, type RephrasedBy } from '../data/atlas.js';
import { readAtlasRelations } from '../data/atlas-tables.js';
import { Problems } from '../data/problems.js';
import type { EditRecord } from '../data/record.js';
import { MalmenError } from '../errors.js';
import { writeFileAtomic } from '../util/atomic-file.js';
import { beforeAndAfter } from './before-and-after.js';
import { type EditResult, edit } from './edit.js';
import type { CommandContext } from './events.js';
import { type DemoOptions, editOptions, trainOptions } from './options.js';
import { train } from './train.js';

/** What the whole job made, and how long it took. */
export interface DemoResult {
  readonly out: string;
  readonly edit: EditResult;
  readonly seconds: number;
}

/** The model that comes with malmen: its card says how it was made. */
export const embeddedModel = fileURLToPath(new URL('../../models/atlas', import.meta.url));

/** Facts that an editor needs outside the edit set to learn anything of use. */
const fewestTrainingFacts = 500;
/** Facts edited at once in a training step: enough to learn from, few enough for a step of seconds. */
const editsPerStep = 400;

/** Which facts become what: written into the output folder, where people can read them. */
interface World {
  /** Asked again in words that neither model nor editor was trained on. */
  readonly edited: readonly EditRecord[];
  readonly outside: readonly EditRecord[];
}

/** A training that an earlier run finished is not done again, one that was interrupted goes on. */
export async function demo(options: DemoOptions, context: CommandContext): Promise<DemoResult> {
  const start = performance.now();
  const { out, facts, seed, editor: method, steps, device, threads } = options;
  const place = (name: string) => join(out, name);
  const common = { seed, device, ...(threads === undefined ? {} : { threads }) };
  await stat(join(embeddedModel, 'model.safetensors')).catch(() => {
    throw new MalmenError('not-found', `${embeddedModel}: the embedded model is missing; install malmen again`);
  });
  if (options.force) await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  const { edited, outside } = await alternateWorld(facts, seed);
  const world = `world-${facts}-${seed}`;
  await writeRecords(place(`${world}-edited.jsonl`), edited);
  await writeRecords(place(`${world}-outside.jsonl`), outside);

  context.emit({
    kind: 'note',
    text: `1/3 learning to edit (${method}) on ${outside.length} facts that will not be edited`,
  });
  const training = {
    model: embeddedModel,
    data: `jsonl:${place(`${world}-outside.jsonl`)}`,
    editor: method,
    out: place(`editor-${method}-${facts}-${seed}-${steps}`),
    resume: true,
    steps,
    edits: Math.min(editsPerStep, outside.length),
    batch: 200,
    redraw: true,
    layers,
    ...recipes[method],
    ...common,
  };
  await train(trainOptions.parse(training), context);

  context.emit({
    kind: 'note',
    text: `2/3 editing ${facts} facts at once into an alternate world, saving the model, opening it from disk and asking it`,
  });
  const editing = {
    model: embeddedModel,
    editor: training.out,
    records: `jsonl:${place(`${world}-edited.jsonl`)}`,
    out: place('edited'),
    force: true,
    batch: 200,
    ...common,
  };
  const result = await edit(editOptions.parse(editing), context);

  context.emit({ kind: 'note', text: '3/3 what the model said before, and what the edited one says' });
  context.emit(await beforeAndAfter({ ...common, model: embeddedModel, edited: editing.out }, edited, context));
  tellNext(out, edited[0]!, context);
  return { out, edit: result, seconds: (performance.now() - start) / 1000 };
}

/** All but the first block: its value gradients are of another size, and one normaliser serves all (docs/log.md). */
const layers = [1, 2, 3].map((block) => `transformer.h.${block}.mlp.c_proj`);

/** What each method learns with. */
const recipes = {
  malmen: { initialRate: 1e-2, rounds: 12, lambdaScale: 20 },
  mend: { initialRate: 1e-3, metaRate: 3e-4, rounds: 1, tokens: 'answers' },
} as const;

/** The first facts of atlas in a seeded order, and those after them. */
async function alternateWorld(facts: number, seed: number): Promise<World> {
  const problems = new Problems();
  const relations = await readAtlasRelations({ path: atlasFolder, problems, signal: undefined });
  problems.throwIfAny();
  const records = (rephrasedBy: RephrasedBy) => atlasRecords(relations, { rephrasedBy, seed });
  const edited = records('heldOut').slice(0, facts);
  const outside = records('trained').slice(facts);
  if (outside.length >= fewestTrainingFacts) return { edited, outside };
  const most = edited.length + outside.length - fewestTrainingFacts;
  throw new MalmenError(
    'bad-input',
    `--facts ${facts}: atlas has ${edited.length + outside.length} facts to edit, of which ${fewestTrainingFacts} must stay for training; at most ${most} can be edited at once`,
  );
}

function writeRecords(path: string, records: readonly EditRecord[]): Promise<void> {
  return writeFileAtomic(path, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
}

function tellNext(out: string, { edit: { prompt } }: EditRecord, { emit }: CommandContext): void {
  const model = relative('', embeddedModel) || '.';
  const shift = join(out, 'edited', 'shift.safetensors');
  const lines = [
    `ask it yourself:   malmen ask --model ${model} --shift ${shift} "${prompt}"`,
    'your own facts:    malmen init facts.csv, then malmen check facts.csv',
    `edit them:         malmen edit --model ${model} --editor ${join(out, '…editor folder')} --records facts.csv --out edited`,
  ];
  for (const text of lines) emit({ kind: 'note', text });
}
