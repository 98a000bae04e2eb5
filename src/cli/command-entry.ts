// What the command line must know of a command: its words, its schema, where its function is.
// Knows no particular command and no terminal.

import type { z } from 'zod';
import type { Command, CommandContext } from '../commands/events.js';

export interface Example {
  /** What is typed after `malmen`. */
  readonly line: string;
  readonly meaning: string;
}

interface CommandText {
  readonly name: string;
  /** One line for the list of commands. */
  readonly description: string;
  readonly examples: readonly Example[];
}

/** A command whose options are of any type: one row of the table. */
export interface CommandEntry extends CommandText {
  readonly schema: z.ZodObject;
  /** Key of the option that is given without a flag. */
  readonly positional?: string;
  /** Loads the command's code, checks the options against the schema and runs it. */
  readonly run: (options: unknown, context: CommandContext) => Promise<Outcome>;
}

interface Outcome {
  /** What `--json` prints. */
  readonly result: unknown;
  /** The command did its work and found something wrong: exit code 1 all the same. */
  readonly failed: boolean;
}

interface CommandDefinition<S extends z.ZodObject, R> extends CommandText {
  readonly schema: S;
  readonly positional?: keyof z.output<S> & string;
  /** A dynamic import: help and usage errors must not load what commands need. */
  readonly load: () => Promise<Command<z.output<S>, R>>;
  /** Whether a result says that something is wrong; absent: a command that ends is right. */
  readonly failed?: (result: R) => boolean;
}

/** Makes a row of the table; the compiler checks that the function takes what the schema gives. */
export function defineCommand<S extends z.ZodObject, R>(definition: CommandDefinition<S, R>): CommandEntry {
  const { load, failed = () => false, ...entry } = definition;
  return {
    ...entry,
    run: async (options, context) => {
      const command = await load();
      const result = await command(definition.schema.parse(options), context);
      return { result, failed: failed(result) };
    },
  };
}
