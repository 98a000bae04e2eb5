// Commands that stand in for the real ones: one that works through a stage, and the ways in which one can fail.
// Knows no model.

import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type CommandEntry, defineCommand } from '../../src/cli/command-entry.js';
import type { CommandContext } from '../../src/commands/events.js';
import { MalmenError } from '../../src/errors.js';

const countOptions = z.strictObject({
  name: z.string().min(1).describe('who counts'),
  steps: z.int().positive().default(3).describe('how far'),
  stepMs: z.int().nonnegative().default(0).describe('milliseconds per step'),
  pace: z.enum(['steady', 'erratic']).default('steady').describe('how'),
  loud: z.boolean().default(true).describe('say something on the way'),
  words: z.array(z.string().min(1)).optional().describe('words to say'),
});

type CountOptions = z.infer<typeof countOptions>;

async function count(options: CountOptions, { emit, signal }: CommandContext): Promise<CountOptions> {
  for (let done = 0; done <= options.steps; done++) {
    signal.throwIfAborted();
    const values = { loss: 1 / (done + 1), 'gradient norm': 0.25 * done, 'learning rate': 1e-5, success: done / 10 };
    emit({ kind: 'progress', stage: 'counting', done, total: options.steps, unit: 'numbers', values });
    if (options.loud && done === 1) emit({ kind: 'note', text: `${options.name} counts` });
    if (options.loud && done === 2) emit({ kind: 'warning', text: 'two is even' });
    await sleep(options.stepMs);
  }
  emit({ kind: 'table', title: 'Counted', columns: ['name', 'steps'], rows: [[options.name, options.steps]] });
  return options;
}

async function fail({ how }: { how: 'user' | 'bug' | 'later' }): Promise<never> {
  if (how === 'user') throw new MalmenError('bad-input', 'facts.jsonl:3: edit.answer is empty; give the answer');
  if (how === 'later') setTimeout(() => failNow('nothing catches this'));
  await sleep(how === 'later' ? 1000 : 0);
  return failNow('the invariant does not hold');
}

function failNow(message: string): never {
  throw new TypeError(message);
}

/** More text than a pipe holds. */
async function flood(_: object, { emit }: CommandContext): Promise<object> {
  for (let line = 0; line < 20_000; line++) {
    emit({ kind: 'note', text: `line ${line}` });
    if (line % 100 === 0) await sleep(0);
  }
  return {};
}

export const fakeCommands: readonly CommandEntry[] = [
  defineCommand({
    name: 'count',
    description: 'count up to a number',
    schema: countOptions,
    positional: 'name',
    examples: [{ line: 'count Ada --steps 5', meaning: 'up to five' }],
    load: async () => count,
  }),
  defineCommand({
    name: 'fail',
    description: 'fail in one of several ways',
    schema: z.strictObject({ how: z.enum(['user', 'bug', 'later']).default('user').describe('how to fail') }),
    examples: [{ line: 'fail --how bug', meaning: 'like a bug' }],
    load: async () => fail,
  }),
  defineCommand({
    name: 'flood',
    description: 'print many lines',
    schema: z.strictObject({}),
    examples: [{ line: 'flood', meaning: 'many lines' }],
    load: async () => flood,
  }),
];
