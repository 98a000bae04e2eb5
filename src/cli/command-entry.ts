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
  readonly run: (options: unknown, context: CommandContext) => Promise<unknown>;
}

interface CommandDefinition<S extends z.ZodObject> extends CommandText {
  readonly schema: S;
  readonly positional?: keyof z.output<S> & string;
  /** A dynamic import: help and usage errors must not load what commands need. */
  readonly load: () => Promise<Command<z.output<S>, unknown>>;
}

/** Makes a row of the table; the compiler checks that the function takes what the schema gives. */
export function defineCommand<S extends z.ZodObject>(definition: CommandDefinition<S>): CommandEntry {
  const { load, ...entry } = definition;
  return {
    ...entry,
    run: async (options, context) => {
      const command = await load();
      return command(definition.schema.parse(options), context);
    },
  };
}
