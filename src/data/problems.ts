// Collects everything that is wrong with a file, so that a user learns all of it at once.
// Knows no format.

import { MalmenError } from '../errors.js';

/** How to go on with a data set that cannot be mended. */
const hint = "mend the file, or write KIND!:PATH ('!' after the kind) to leave such records out";

/** Problems shown; more are counted. */
const mostShown = 50;

export interface Problem {
  readonly where: string;
  readonly problem: string;
}

export class Problems {
  readonly #all: Problem[] = [];

  get count(): number {
    return this.#all.length;
  }

  get all(): readonly Problem[] {
    return this.#all;
  }

  /** @param where the file and the place in it: `facts.jsonl:3` for a line, `facts.json: record 17` for an element of a list */
  add(where: string, problem: string): void {
    this.#all.push({ where, problem });
  }

  /** @throws MalmenError with one line per problem */
  throwIfAny(): void {
    const count = this.#all.length;
    if (count === 0) return;
    const heading = count === 1 ? [] : [`${count} problems`];
    const shown = this.#all.slice(0, mostShown).map(({ where, problem }) => `${where}: ${problem}`);
    const more = count > mostShown ? [`... and ${count - mostShown} more`] : [];
    throw new MalmenError('bad-input', [...heading, ...shown, ...more, hint].join('\n'));
  }
}
