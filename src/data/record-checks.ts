// What must hold between the records of a file: ids are unique, because every report is per fact, no prompt is edited to two answers, and GS is
// measured on what no edit has learnt from.

import { basename } from 'node:path';
import type { Problems } from './problems.js';
import type { PlacedRecord } from './record-reader.js';

/** Sees the records one by one; of those that cannot stand together the first stays. */
export class RecordChecks {
  readonly #problems: Problems;
  /** Where each id stands. */
  readonly #ids = new Map<string, string>();
  /** The answer of each edit prompt, and where it stands. */
  readonly #answers = new Map<string, { readonly answer: string; readonly where: string }>();

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  /** Whether the record stands beside all before it; if not, the problems say why. */
  accepts(placed: PlacedRecord): boolean {
    const found = [this.#takenId(placed), this.#contradiction(placed), learntRephrasing(placed)].filter(
      (problem) => problem !== undefined,
    );
    for (const problem of found) this.#problems.add(placed.where, problem);
    if (found.length > 0) return false;
    const { where, record } = placed;
    this.#ids.set(record.id, where);
    this.#answers.set(record.edit.prompt.trim(), { answer: record.edit.answer.trim(), where });
    return true;
  }

  #takenId({ record: { id, edit } }: PlacedRecord): string | undefined {
    const other = this.#ids.get(id);
    if (other === undefined) return undefined;
    const same = this.#answers.get(edit.prompt.trim());
    const isRepeated = same?.where === other && same.answer === edit.answer.trim();
    return isRepeated
      ? `the same fact as ${basename(other)}; leave one of them out`
      : `id: '${id}' is taken by ${basename(other)}; ids must be unique`;
  }

  #contradiction({ record: { edit } }: PlacedRecord): string | undefined {
    const [prompt, answer] = [edit.prompt.trim(), edit.answer.trim()];
    const other = this.#answers.get(prompt);
    if (other === undefined || other.answer === answer) return undefined;
    return `edit.answer: '${prompt}' is edited to '${other.answer}' by ${basename(other.where)} and to '${answer}' here; it can have one answer`;
  }
}

/** What an edit has learnt from says nothing about phrasings that it has not. */
function learntRephrasing({ record: { wordings = [], rephrasings } }: PlacedRecord): string | undefined {
  const learnt = new Set(wordings.map((prompt) => prompt.trim()));
  const at = rephrasings.findIndex(({ prompt }) => learnt.has(prompt.trim()));
  if (at < 0) return undefined;
  return `rephrasings.${at}: '${rephrasings[at]!.prompt.trim()}' is one of the wordings, which the edit learns from: GS would measure nothing new; keep one of them`;
}
