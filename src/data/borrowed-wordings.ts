// Other words for a fact that was told in one prompt: those in which known facts of its kind are asked.

import { entryAt } from '../util/entry-at.js';
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
    const taken = new Set(framesOf(record).map(textOf));
    const frames = [...lenders.framesFor(record, own)]
      .filter(([text, frame]) => !taken.has(text) && canOpen(frame, record, own))
      .map(([, frame]) => frame);
    const wordings = untoldPrompts(record, random.shuffle(frames), count);
    return wordings.length === 0 ? record : { ...record, wordings: [...(record.wordings ?? []), ...wordings] };
  });
}

/** A subject that a prompt names twice may make one of the record's own prompts of another frame. */
function untoldPrompts(record: EditRecord, frames: readonly Frame[], count: number): string[] {
  const own = new Set(ownPrompts(record));
  const prompts: string[] = [];
  for (const frame of frames) {
    if (prompts.length === count) break;
    const prompt = frame.join(record.subject);
    if (!own.has(prompt)) prompts.push(prompt);
  }
  return prompts;
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
        entryAt(this.#byFrame, text, () => []).push(frames);
        if (record.relation !== undefined) entryAt(this.#byRelation, record.relation, newFrames).set(text, frame);
      }
    }
  }

  framesFor({ relation }: EditRecord, own: Frame): Frames {
    if (relation !== undefined) return this.#byRelation.get(relation) ?? new Map();
    const text = textOf(own);
    return entryAt(this.#likeFrame, text, () => sharedByMost(this.#byFrame.get(text) ?? []));
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

const newFrames = () => new Map<string, Frame>();
