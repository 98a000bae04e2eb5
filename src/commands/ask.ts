// `malmen ask`: one prompt, the model's answer before a shift beside the one after.

import type { LayerTensors } from '../engine/editable-model.js';
import { MalmenError } from '../errors.js';
import { type GenerateOptions, generate } from '../eval/generate.js';
import { Random } from '../util/random.js';
import type { CommandContext } from './events.js';
import type { AskOptions } from './options.js';
import { openShift } from './shift.js';
import { withSubject } from './subject.js';

/** What a model says to one prompt, without and with a shift. */
export interface AskResult {
  readonly prompt: string;
  readonly before: string;
  /** Only with a shift. */
  readonly after?: string;
}

/** `malmen ask`. @throws MalmenError for a prompt that the model cannot read, or a shift of another model */
export async function ask(options: AskOptions, context: CommandContext): Promise<AskResult> {
  return withSubject(options, context, async (subject) => {
    const { tokenizer, model } = subject;
    const [ids] = await tokenizer.encodePrompts([options.prompt.trimEnd()]);
    const room = model.definition.contextTokens;
    if (ids!.length === 0 || ids!.length > room) {
      throw new MalmenError('bad-input', `the prompt has ${ids!.length} tokens; this model reads 1 to ${room}`);
    }
    const { editable, weights } = await openShift(subject, options.shift);
    const say = async (set: LayerTensors) => {
      const [answer] = await generate(editable, set, tokenizer, [ids!], generateOptions(options, context));
      return (await tokenizer.decode([answer!]))[0]!;
    };
    const before = await say(editable.base);
    const result = {
      prompt: options.prompt,
      before,
      ...(options.shift === undefined ? {} : { after: await say(weights) }),
    };
    tell(result, context);
    return result;
  });
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

function tell({ prompt, before, after }: AskResult, { emit }: CommandContext): void {
  const rows =
    after === undefined
      ? [['answer', before.trim()]]
      : [
          ['before', before.trim()],
          ['after', after.trim()],
        ];
  emit({ kind: 'table', title: prompt, columns: ['', ''], rows });
}
