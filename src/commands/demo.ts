// `malmen demo`: the main job from end to end on a made-up world: teach a small model facts, train an editor, edit, look.

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../util/atomic-file.js';
import { demoWorld } from './demo-world.js';
import { type EditResult, edit } from './edit.js';
import type { CommandContext } from './events.js';
import { fit } from './fit.js';
import { type DemoOptions, editOptions, fitOptions, trainOptions } from './options.js';
import { train } from './train.js';

/** What the whole job made, and how long it took. */
export interface DemoResult {
  readonly out: string;
  /** Share of prompts that the taught model answers right. */
  readonly knows: number;
  readonly edit: EditResult;
  readonly seconds: number;
}

/** Small enough for two cores and three minutes. */
const modelConfig = {
  model_type: 'gpt2',
  architectures: ['GPT2LMHeadModel'],
  n_layer: 3,
  n_embd: 128,
  n_head: 4,
  n_inner: 1024,
  n_positions: 32,
};

/** Steps that an earlier run finished are not done again. */
export async function demo(options: DemoOptions, context: CommandContext): Promise<DemoResult> {
  const start = performance.now();
  const { out, facts, seed, editor: method, device, threads } = options;
  const place = (name: string) => join(out, name);
  const common = { seed, device, ...(threads === undefined ? {} : { threads }) };
  if (options.force) await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  // Twice as many for training: the editor never sees the facts that are edited in the end.
  const records = demoWorld(3 * facts, seed);
  await writeFileAtomic(place('world.jsonl'), records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  await writeFileAtomic(place('config.json'), `${JSON.stringify(modelConfig, null, 2)}\n`);
  const world = `jsonl:${place('world.jsonl')}`;

  context.emit({ kind: 'note', text: `1/3 teaching a small model ${records.length} facts of a made-up world` });
  const fitting = {
    config: place('config.json'),
    data: world,
    out: place('model'),
    resume: true,
    vocabulary: 600,
    epochs: 12,
    batch: 128,
    learningRate: 2e-3,
    warmup: 50,
    ...common,
  };
  const { exactMatch: knows } = await fit(fitOptions.parse(fitting), context);

  context.emit({ kind: 'note', text: `2/3 training a ${method} editor on ${2 * facts} facts that will not be edited` });
  const training = {
    model: place('model'),
    data: `${world}#${facts}:`,
    editor: method,
    out: place(`editor-${method}`),
    resume: true,
    steps: 40,
    edits: facts,
    rank: 128,
    metaRate: 3e-4,
    redraw: true,
    ...common,
  };
  await train(trainOptions.parse(training), context);

  context.emit({ kind: 'note', text: `3/3 editing ${facts} facts at once, saving, and asking the saved model` });
  const editing = {
    model: place('model'),
    editor: place(`editor-${method}`),
    records: `${world}#${facts}`,
    out: place('edited'),
    force: true,
    ...common,
  };
  const edited = await edit(editOptions.parse(editing), context);
  context.emit({
    kind: 'note',
    text: `next: malmen ask --model ${place('model')} --shift ${place('edited/shift.safetensors')} "${records[0]!.edit.prompt}"`,
  });
  return { out, knows, edit: edited, seconds: (performance.now() - start) / 1000 };
}
