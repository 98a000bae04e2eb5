// `malmen ask`: one prompt, the model's answer before a shift beside the one after; of a fact checker, its verdict on a claim.

import { inputLength, promptIds } from '../data/tuple.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import { MalmenError } from '../errors.js';
import { type GenerateOptions, generate } from '../eval/generate.js';
import { type Judgement, judge } from '../eval/judge.js';
import { Random } from '../util/random.js';
import type { CommandContext } from './events.js';
import { writes } from './generations.js';
import type { AskOptions } from './options.js';
import { openShift } from './shift.js';
import { type Subject, withSubject } from './subject.js';

/** What a model says to one prompt, without and with a shift. */
export interface AskResult {
  readonly prompt: string;
  /** Text, or a verdict. */
  readonly before: string;
  /** Only with a shift. */
  readonly after?: string;
  /** How sure a fact checker is of its verdicts; absent for models that write. */
  readonly probability?: { readonly before: number; readonly after?: number };
}

/** `malmen ask`. @throws MalmenError for a prompt that the model cannot read, or a shift of another model */
export async function ask(options: AskOptions, context: CommandContext): Promise<AskResult> {
  return withSubject(options, context, async (subject) => {
    const ids = await encodePrompt(subject, options.prompt);
    const { editable, weights } = await openShift(subject, options.shift);
    const sets = options.shift === undefined ? [editable.base] : [editable.base, weights];
    const result = writes(subject.model.definition)
      ? await write(subject, editable, sets, ids, options, context)
      : await judgeClaim(editable, sets, ids, options);
    tell(result, context);
    return result;
  });
}

async function encodePrompt({ tokenizer, model }: Subject, prompt: string): Promise<readonly number[]> {
  const { kind, contextTokens: room } = model.definition;
  const [ids] = await promptIds(tokenizer, kind, [prompt]);
  const length = inputLength({ prompt: ids!, answer: [0] }, kind);
  if (prompt.trim() !== '' && length > 0 && length <= room) return ids!;
  throw new MalmenError('bad-input', `the prompt has ${ids!.length} tokens; this model reads 1 to ${room}`);
}

async function write(
  { tokenizer }: Subject,
  editable: EditableModel,
  sets: readonly LayerTensors[],
  ids: readonly number[],
  options: AskOptions,
  context: CommandContext,
): Promise<AskResult> {
  const said: string[] = [];
  for (const set of sets) {
    const [answer] = await generate(editable, set, tokenizer, [ids], generateOptions(options, context));
    said.push((await tokenizer.decode([answer!]))[0]!);
  }
  const [before, after] = said;
  return { prompt: options.prompt, before: before!, ...(after === undefined ? {} : { after }) };
}

async function judgeClaim(
  editable: EditableModel,
  sets: readonly LayerTensors[],
  ids: readonly number[],
  { prompt }: AskOptions,
): Promise<AskResult> {
  const found: Judgement[] = [];
  for (const set of sets) found.push(...(await judge(editable, set, [ids])));
  const [before, after] = found;
  return {
    prompt,
    before: before!.verdict,
    ...(after ? { after: after.verdict } : {}),
    probability: { before: before!.probability, ...(after ? { after: after.probability } : {}) },
  };
}

/** The same random numbers before and after: a difference comes from the shift. */
function generateOptions(
  { maxTokens, temperature, topK, seed }: AskOptions,
  { signal }: CommandContext,
): GenerateOptions {
  const sampling =
    temperature === 0
      ? {}
      : { sampling: { temperature, random: Random.stream(seed, 'ask'), ...(topK ? { topK } : {}) } };
  return { maxTokens, batch: 1, stopAtSentence: false, signal, ...sampling };
}

function tell({ prompt, before, after, probability }: AskResult, { emit }: CommandContext): void {
  const row = (name: string, answer: string, sure: number | undefined) => [
    name,
    answer.trim(),
    ...(sure === undefined ? [] : [sure]),
  ];
  const rows =
    after === undefined
      ? [row('answer', before, probability?.before)]
      : [row('before', before, probability?.before), row('after', after, probability?.after)];
  emit({ kind: 'table', title: prompt, columns: ['', '', ...(probability ? ['probability'] : [])], rows });
}
