// Collects everything that is wrong with a file, so that a user learns all of it at once.
// Knows no format.

import { MalmenError } from '../errors.js';

/** How to go on with a data set that cannot be mended. */
const hint = "mend the file, or write KIND!:PATH ('!' after the kind) to leave such records out";

/** Problems shown; more are counted. */
const mostShown = 50;

export class Problems {
  readonly #shown: string[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** @param where the file and the place in it: `facts.jsonl:3` for a line, `facts.json: record 17` for an element of a list */
  add(where: string, problem: string): void {
    this.#count++;
    if (this.#shown.length < mostShown) this.#shown.push(`${where}: ${problem}`);
  }

  /** @throws MalmenError with one line per problem */
  throwIfAny(): void {
    if (this.#count === 0) return;
    const heading = this.#count === 1 ? [] : [`${this.#count} problems`];
    const more = this.#count > mostShown ? [`... and ${this.#count - mostShown} more`] : [];
    throw new MalmenError('bad-input', [...heading, ...this.#shown, ...more, hint].join('\n'));
  }
}
