// What a model says before and after an edit, in sentences a person can judge: some edited facts, and beside each a neighbour that should not move.

import { join } from 'node:path';
import type { EditRecord } from '../data/record.js';
import type { Device } from '../engine/runtime.js';
import { generate } from '../eval/generate.js';
import { cutAtNaturalStop } from '../tokenizer/stop.js';
import type { CommandContext, CommandEvent } from './events.js';
import { openShift } from './shift.js';
import { type Subject, withSubject } from './subject.js';

export interface BeforeAndAfterOptions {
  readonly model: string;
  /** Folder of the edited model, with its `shift.safetensors`. */
  readonly edited: string;
  readonly device: Device;
  readonly threads?: number;
}

const shownFacts = 8;
const mostTokens = 12;

/** The first record of each of several relations, success or not: a choice by success would flatter. */
export function spreadOverRelations(records: readonly EditRecord[], count: number): EditRecord[] {
  const first = new Map<string, EditRecord>();
  for (const record of records) {
    const relation = record.relation ?? record.id;
    if (!first.has(relation)) first.set(relation, record);
  }
  return [...first.values()].slice(0, count);
}

/** A table of two lines a fact: the edited prompt, and an unrelated one of the same relation where the record has any. */
export function beforeAndAfter(
  options: BeforeAndAfterOptions,
  records: readonly EditRecord[],
  context: CommandContext,
): Promise<CommandEvent> {
  const shown = spreadOverRelations(records, shownFacts);
  const prompts = shown.flatMap(({ edit, unrelated }) => [edit, ...unrelated.slice(0, 1)].map(({ prompt }) => prompt));
  return withSubject(options, context, async (subject) => {
    const { editable, weights } = await openShift(subject, join(options.edited, 'shift.safetensors'));
    const before = await say(subject, prompts, { editable, weights: editable.base }, context);
    const after = await say(subject, prompts, { editable, weights }, context);
    editable.releaseWeights(weights);
    const rows = prompts.map((prompt, at) => [prompt, before[at]!, after[at]!, mark(before[at]!, after[at]!)]);
    return {
      kind: 'table',
      title: `The first fact of each of ${shown.length} relations, and below each a neighbour that was not edited`,
      columns: ['prompt', 'before', 'after', ''],
      rows,
    };
  });
}

const mark = (before: string, after: string) => (before === after ? 'same' : 'changed');

async function say(
  { tokenizer }: Subject,
  prompts: readonly string[],
  { editable, weights }: Pick<Awaited<ReturnType<typeof openShift>>, 'editable' | 'weights'>,
  { signal }: CommandContext,
): Promise<string[]> {
  const ids = await tokenizer.encodePrompts(prompts.map((prompt) => prompt.trimEnd()));
  const options = { maxTokens: mostTokens, batch: prompts.length, stopAtSentence: true, signal };
  const answers = await generate(editable, weights, tokenizer, ids, options);
  return [...(await tokenizer.decode(answers))].map((text) => cutAtNaturalStop(text).trim());
}
