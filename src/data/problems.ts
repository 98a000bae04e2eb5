// Collects everything that is wrong with a file, so that a user learns all of it at once.

import { MalmenError } from '../errors.js';

/** How to go on with a data set that cannot be mended. */
const hint = "mend the file, or write KIND!:PATH ('!' after the kind) to leave such records out";

/** Problems shown; more are counted. */
const shown = 50;

export class Problems {
  readonly #file: string;
  readonly #found: string[] = [];
  readonly #leaveOut: boolean;

  /** @param leaveOut bad records are left out instead of refused, because the user said so */
  constructor(file: string, leaveOut = false) {
    this.#file = file;
    this.#leaveOut = leaveOut;
  }

  get count(): number {
    return this.#found.length;
  }

  /** @param where `:3` for a line, ` record 17` for an element of a list, empty for the whole file */
  add(where: string, problem: string): void {
    this.#found.push(`${this.#file}${where}: ${problem}`);
  }

  /** @throws MalmenError with one line per problem, unless bad records are to be left out */
  throwIfAny(): void {
    const { count } = this;
    if (count === 0 || this.#leaveOut) return;
    const more = count > shown ? [`... and ${count - shown} more`] : [];
    const heading = count === 1 ? [] : [`${this.#file}: ${count} problems`];
    throw new MalmenError('bad-input', [...heading, ...this.#found.slice(0, shown), ...more, hint].join('\n'));
  }
}
