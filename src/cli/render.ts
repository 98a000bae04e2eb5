// The events of a running command on the terminal: notes and tables to stdout, progress and warnings to stderr.
// Knows no command.

import type { CommandEvent } from '../commands/events.js';
import { fitCommand, fitText, labelled, widthOf } from './fit-text.js';
import { Progress } from './progress.js';
import type { ProgressEvent } from './stage-meter.js';
import { layOutTable, type TableEvent } from './table.js';
import { canRedraw, coloursOf, type Terminal } from './terminal.js';
import { oneLine } from './text-width.js';

type NoteEvent = Extract<CommandEvent, { kind: 'note' }>;

type Block = 'text' | 'heading' | 'table';

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
  /** What was last written to stdout: tables stand apart from what is around them, headings from what is before. */
  #last: Block | 'nothing' = 'nothing';

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
        if (this.#progress !== undefined) this.#update(this.#progress, event);
        break;
      case 'note':
        if (!json && !quiet) this.#note(event);
        break;
      case 'warning':
        this.warn(event.text);
        break;
      case 'table':
        if (!json) this.#out(this.#tableLines(event), 'table');
        break;
      case 'metric':
        // For the run log, which the command writes; what matters to a reader comes with the progress.
        break;
    }
  };

  warn(text: string): void {
    this.tell(labelled(['warning:', 'yellow'], text, this.#terminal));
  }

  /** A line for whoever watches, also when stdout belongs to the result. */
  tell(text: string): void {
    this.#aside(() => this.#terminal.stderr.write(`${text}\n`));
  }

  close(): void {
    this.#progress?.close();
  }

  #update(progress: Progress, event: ProgressEvent): void {
    progress.update(event);
    // On one screen with what goes to stdout, a stage is text as well.
    if (this.#last === 'nothing' && this.#terminal.stdout.isTTY === true) this.#last = 'text';
  }

  #note({ text, style }: NoteEvent): void {
    const { stdout, env } = this.#terminal;
    const { bold } = coloursOf(stdout, env);
    if (style === 'command') this.#out(fitCommand(oneLine(text), stdout), 'text');
    else if (style === 'heading') this.#out(fitText(text, stdout).map(bold), 'heading');
    else this.#out(fitText(text, stdout), 'text');
  }

  #tableLines(table: TableEvent): string[] {
    const { stdout, env } = this.#terminal;
    const { bold, dim } = coloursOf(stdout, env);
    const { head, rows } = layOutTable(table, widthOf(stdout));
    const shown = head.some((line) => line !== '') ? head : [];
    return [...fitText(oneLine(table.title), stdout).map(bold), ...shown.map(dim), ...rows];
  }

  #out(lines: readonly string[], block: Block): void {
    const apart = block === 'text' ? this.#last === 'table' : !['nothing', 'heading'].includes(this.#last);
    this.#last = block;
    this.#aside(() => this.#terminal.stdout.write(`${apart ? '\n' : ''}${lines.join('\n')}\n`));
  }

  #aside(write: () => void): void {
    if (this.#progress === undefined) write();
    else this.#progress.aside(write);
  }
}
