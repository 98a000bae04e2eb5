// The events of a running command on the terminal: notes and tables to stdout, progress and warnings to stderr.
// Knows no command.

import type { CommandEvent } from '../commands/events.js';
import { Progress } from './progress.js';
import { type TableEvent, tableLines } from './table.js';
import { canRedraw, coloursOf, columnsOf, type Terminal } from './terminal.js';
import { manyLines, oneLine } from './text-width.js';

interface RenderOptions {
  /** stdout belongs to the result: notes and tables are not printed, progress only on a terminal. */
  readonly json: boolean;
  /** No progress and no notes. */
  readonly quiet: boolean;
}

export class Renderer {
  readonly #terminal: Terminal;
  readonly #options: RenderOptions;
  readonly #progress: Progress | undefined;

  constructor(terminal: Terminal, options: RenderOptions) {
    this.#terminal = terminal;
    this.#options = options;
    const shown = !options.quiet && (!options.json || canRedraw(terminal.stderr, terminal.env));
    this.#progress = shown ? new Progress(terminal) : undefined;
  }

  readonly emit = (event: CommandEvent): void => {
    const { json, quiet } = this.#options;
    switch (event.kind) {
      case 'progress':
        this.#progress?.update(event);
        break;
      case 'note':
        if (!json && !quiet) this.#out(manyLines(event.text));
        break;
      case 'warning':
        this.warn(event.text);
        break;
      case 'table':
        if (!json) this.#out(this.#table(event));
        break;
      case 'metric':
        // For the run log, which the command writes; what matters to a reader comes with the progress.
        break;
    }
  };

  warn(text: string): void {
    const { yellow } = coloursOf(this.#terminal.stderr, this.#terminal.env);
    this.tell(`${yellow('warning:')} ${manyLines(text)}`);
  }

  /** A line for whoever watches, also when stdout belongs to the result. */
  tell(text: string): void {
    this.#aside(() => this.#terminal.stderr.write(`${text}\n`));
  }

  close(): void {
    this.#progress?.close();
  }

  #table(table: TableEvent): string {
    const { stdout, env } = this.#terminal;
    const { bold, dim } = coloursOf(stdout, env);
    const [head = '', ...rows] = tableLines(table, stdout.isTTY === true ? columnsOf(stdout) : undefined);
    return [bold(oneLine(table.title)), dim(head), ...rows].join('\n');
  }

  #out(text: string): void {
    this.#aside(() => this.#terminal.stdout.write(`${text}\n`));
  }

  #aside(write: () => void): void {
    if (this.#progress === undefined) write();
    else this.#progress.aside(write);
  }
}
