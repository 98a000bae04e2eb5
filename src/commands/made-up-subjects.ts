// Prompts about made-up subjects (`edit --keep-made-up`) and what a model says of them: what nobody named stays as it is, too.

import { madeUpPrompts } from '../data/made-up-prompts.js';
import { type EditRecord, ownPrompts } from '../data/record.js';
import type { TokenizedRecord } from '../data/tokenized-record.js';
import { inputLength, promptIds, type TokenPair } from '../data/tuple.js';
import type { EditableModel } from '../engine/editable-model.js';
import { MalmenError } from '../errors.js';
import { generate } from '../eval/generate.js';
import { Random } from '../util/random.js';
import type { CommandContext } from './events.js';
import { writes } from './generations.js';
import type { EditOptions } from './options.js';
import type { Subject } from './subject.js';

/** What is edited, and what stays. */
interface Surroundings {
  readonly edited: readonly TokenizedRecord[];
  readonly records: readonly EditRecord[];
  /** At least one. */
  readonly known: readonly TokenPair[];
}

/**
 * Prompts of the records about other subjects, none that the edit is judged by and none about a subject that it changes; each with the longest known answer, as room for
 * what {@link answeredByModel} puts there.
 * @throws MalmenError `bad-input` when no record names its subject in its prompts
 */
export async function aboutMadeUp(
  { model: { definition }, tokenizer }: Subject,
  { edited, records, known }: Surroundings,
  { keep, keepMadeUp, seed }: Pick<EditOptions, 'keep' | 'keepMadeUp' | 'seed'>,
): Promise<TokenPair[]> {
  const except = {
    prompts: new Set(edited.flatMap(({ record }) => promptsOf(record))),
    subjects: new Set(edited.flatMap(({ record }) => record.subject ?? [])),
  };
  const random = Random.stream(seed, 'made-up subjects');
  const texts = await madeUpPrompts(records, tokenizer, { count: keepMadeUp, random, except });
  if (texts.length === 0)
    throw new MalmenError('bad-input', `--keep-made-up ${keepMadeUp}: no record of ${keep} ${noSubject}`);
  const { answer } = known.reduce((longest, pair) => (pair.answer.length > longest.answer.length ? pair : longest));
  const prompts = await promptIds(tokenizer, definition.kind, texts);
  const pairs = prompts.map((prompt) => ({ prompt, answer }));
  return pairs.filter((pair) => inputLength(pair, definition.kind) <= definition.contextTokens);
}

const noSubject = 'names its subject in a prompt: records need a `subject` that made-up ones can replace';

const promptsOf = (record: EditRecord) => [...ownPrompts(record), ...record.unrelated.map(({ prompt }) => prompt)];

/**
 * Each prompt under what the unedited model says, for as long as the answer that stood there; prompts after which it says nothing
 * are left out.
 * @throws MalmenError `mismatch` for a model that does not write
 */
export async function answeredByModel(
  { tokenizer }: Subject,
  editable: EditableModel,
  pairs: readonly TokenPair[],
  { batch, ends }: Pick<EditOptions, 'batch'> & { readonly ends: boolean },
  { emit, signal }: CommandContext,
): Promise<TokenPair[]> {
  if (pairs.length === 0) return [];
  if (!writes(editable.model.definition)) throw new MalmenError('mismatch', `--keep-made-up: ${noWriter}`);
  const maxTokens = pairs[0]!.answer.length;
  const answers = await generate(
    editable,
    editable.base,
    tokenizer,
    pairs.map(({ prompt }) => prompt),
    {
      maxTokens,
      batch,
      stopAtSentence: true,
      signal,
      onProgress: (done, total) =>
        emit({ kind: 'progress', stage: 'ask of made-up subjects', done, total, unit: 'prompts' }),
    },
  );
  // What was cut off at its greatest length has not ended.
  const ended = (answer: readonly number[]) =>
    ends && answer.length < maxTokens ? [...answer, tokenizer.endOfText!] : answer;
  return pairs
    .map(({ prompt }, at) => ({ prompt, answer: answers[at]! }))
    .filter(({ answer }) => answer.length > 0)
    .map(({ prompt, answer }) => ({ prompt, answer: ended(answer) }));
}

const noWriter = 'this model checks claims and says nothing of its own; leave the option out';
