// What a running command tells whoever started it: the terminal draws these events, a server would stream them, tests
// collect them. Knows no terminal.

/** Something that a running command tells: progress, numbers, a sentence, a table. */
export type CommandEvent =
  /** A long stage moves on. `total` is undefined where it cannot be known. Rates and time left are the listener's arithmetic. */
  | {
      readonly kind: 'progress';
      readonly stage: string;
      readonly done: number;
      readonly total?: number;
      readonly unit: string;
      readonly values?: Readonly<Record<string, number>>;
    }
  /** Numbers worth keeping: one line of a run log. */
  | {
      readonly kind: 'metric';
      readonly name: string;
      readonly step?: number;
      readonly values: Readonly<Record<string, number>>;
    }
  /** A sentence for the user; or the heading of what follows; or a command line to copy, which stays one whatever the width. */
  | { readonly kind: 'note'; readonly text: string; readonly style?: 'heading' | 'command' }
  /** Something the user should know and may want to act on. */
  | { readonly kind: 'warning'; readonly text: string }
  /** A small table, printed when it comes; numbers are formatted by the listener. */
  | {
      readonly kind: 'table';
      readonly title: string;
      readonly columns: readonly string[];
      readonly rows: readonly (readonly (string | number | null)[])[];
    };

/** What every command is given besides its options. */
export interface CommandContext {
  /** Called with everything that the command tells. */
  readonly emit: (event: CommandEvent) => void;
  /** Aborted on Ctrl-C: a command saves what can be resumed and throws MalmenError `interrupted`. */
  readonly signal: AbortSignal;
}

/** A use case: options in, typed events out, a result that can be printed as JSON. */
export type Command<Options, Result> = (options: Options, context: CommandContext) => Promise<Result>;
