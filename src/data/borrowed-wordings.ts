// Other words for a fact that was told in one prompt: those in which known facts of its kind are asked.

import type { Random } from '../util/random.js';
import { type Frame, frameOf, framesOf } from './frame.js';
import { type EditRecord, ownPrompts } from './record.js';

interface Borrowing {
  /** Wordings that a fact gets at most, beside its own. */
  readonly count: number;
  readonly random: Random;
}

/** Frames by their text. */
type Frames = ReadonlyMap<string, Frame>;

/**
 * The same records, with wordings from known facts: their prompts, about the record's subject. With a `relation`, from facts of the
 * same one; without, from facts that are asked in the record's own words, where most of these are asked in the other words too.
 * Never one that the record is judged by. A record that does not name its subject in its prompt gets none.
 */
export function borrowWordings(
  records: readonly EditRecord[],
  known: readonly EditRecord[],
  { count, random }: Borrowing,
): EditRecord[] {
  const lenders = new Lenders(known);
  return records.map((record) => {
    const own = frameOf(record.edit.prompt, record.subject);
    if (!own) return record;
    const taken = new Set(ownPrompts(record));
    const frames = [...lenders.framesFor(record, own).values()].filter((frame) => canOpen(frame, record, own));
    const prompts = frames.map((frame) => frame.join(record.subject));
    const wordings = random.shuffle(prompts.filter((prompt) => !taken.has(prompt))).slice(0, count);
    return wordings.length === 0 ? record : { ...record, wordings: [...(record.wordings ?? []), ...wordings] };
  });
}

/** Whether a small letter ("the Netherlands") opens a sentence is not known, unless it opens the record's own. */
function canOpen([before]: Frame, { subject }: EditRecord, own: Frame): boolean {
  return before !== '' || own[0] === '' || !/^\p{Ll}/u.test(subject!);
}

/** Known facts by what they have in common with one to edit. */
class Lenders {
  readonly #byRelation = new Map<string, Map<string, Frame>>();
  /** By each of their frames. */
  readonly #byFrame = new Map<string, Frames[]>();
  readonly #likeFrame = new Map<string, Frames>();

  constructor(known: readonly EditRecord[]) {
    for (const record of known) {
      const frames = new Map(framesOf(record).map((frame) => [textOf(frame), frame]));
      for (const [text, frame] of frames) {
        listed(this.#byFrame, text).push(frames);
        if (record.relation !== undefined) mapped(this.#byRelation, record.relation).set(text, frame);
      }
    }
  }

  framesFor({ relation }: EditRecord, own: Frame): Frames {
    if (relation !== undefined) return this.#byRelation.get(relation) ?? new Map();
    const text = textOf(own);
    const known = this.#likeFrame.get(text) ?? sharedByMost(this.#byFrame.get(text) ?? []);
    this.#likeFrame.set(text, known);
    return known;
  }
}

/** What more than half of the facts have. */
function sharedByMost(facts: readonly Frames[]): Frames {
  const counts = new Map<string, number>();
  for (const frames of facts) for (const text of frames.keys()) counts.set(text, (counts.get(text) ?? 0) + 1);
  const all = new Map(facts.flatMap((frames) => [...frames]));
  return new Map([...all].filter(([text]) => 2 * counts.get(text)! > facts.length));
}

/** No prompt holds this character. */
const textOf = (frame: Frame) => frame.join('\u0000');

function listed<T>(lists: Map<string, T[]>, key: string): T[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}

function mapped<T>(maps: Map<string, Map<string, T>>, key: string): Map<string, T> {
  const map = maps.get(key) ?? new Map<string, T>();
  maps.set(key, map);
  return map;
}
