// What can be said of records without a model: which contradict each other, share a prompt, or measure what they change.

import { basename } from 'node:path';
import type { Finding, FindingKind } from './finding.js';
import type { EditRecord, Example } from './record.js';
import type { PlacedRecord } from './record-reader.js';

/** A prompt that is edited: by a record's own prompt, by another wording or by one of its rephrasings. */
interface Asked {
  readonly where: string;
  readonly part: 'prompt' | 'wording' | 'rephrasing';
  readonly answer: string;
}

/** The first place of each prompt and answer. */
type AskedPrompts = ReadonlyMap<string, ReadonlyMap<string, Asked>>;

/** Findings in the order of the records. */
export function reviewRecords(placed: readonly PlacedRecord[]): Finding[] {
  const asked = askedPrompts(placed);
  const ids = firstPlaces(placed);
  return placed.flatMap((one) => [
    ...repeatedId(one, ids),
    ...contradictions(one, asked),
    ...repetitions(one, asked),
    ...editedUnrelated(one, asked),
    ...changesNothing(one),
  ]);
}

/** Prompts are the same whatever the white space in them. */
const plain = (text: string) => text.trim().replaceAll(/\s+/g, ' ');

function firstPlaces(placed: readonly PlacedRecord[]): ReadonlyMap<string, string> {
  const places = new Map<string, string>();
  for (const { where, record } of placed) if (!places.has(record.id)) places.set(record.id, where);
  return places;
}

/** The edited prompts of a record: its own, then its other wordings, then its rephrasings. */
function promptsOf({ edit, wordings = [], rephrasings }: EditRecord): (Example & { readonly part: Asked['part'] })[] {
  const learnt = wordings.map((prompt) => ({ prompt, answer: edit.answer, part: 'wording' as const }));
  return [
    { ...edit, part: 'prompt' },
    ...learnt,
    ...rephrasings.map((example) => ({ ...example, part: 'rephrasing' as const })),
  ];
}

function askedPrompts(placed: readonly PlacedRecord[]): AskedPrompts {
  const asked = new Map<string, Map<string, Asked>>();
  for (const { where, record } of placed) {
    for (const { prompt, answer, part } of promptsOf(record)) {
      const answers = asked.get(plain(prompt)) ?? new Map<string, Asked>();
      const known = answers.get(plain(answer));
      // A record's own prompt stands for the fact, whichever came first.
      if (known === undefined || (known.part !== 'prompt' && part === 'prompt'))
        answers.set(plain(answer), { where, part, answer: plain(answer) });
      asked.set(plain(prompt), answers);
    }
  }
  return asked;
}

function finding(kind: FindingKind, { where, record }: PlacedRecord, text: string): Finding {
  return { kind, where, id: record.id, text };
}

function repeatedId(one: PlacedRecord, ids: ReadonlyMap<string, string>): Finding[] {
  const first = ids.get(one.record.id)!;
  if (first === one.where) return [];
  return [finding('repeated id', one, `the id '${one.record.id}' is taken by ${basename(first)}; give it another`)];
}

function contradictions(one: PlacedRecord, asked: AskedPrompts): Finding[] {
  return promptsOf(one.record).flatMap(({ prompt, answer, part }) => {
    const other = [...asked.get(plain(prompt))!.values()].find((rival) => rival.answer !== plain(answer));
    if (other === undefined) return [];
    const place = other.where === one.where ? 'its own other prompt' : `the ${other.part} of ${basename(other.where)}`;
    const text = `the ${part} '${prompt.trim()}' is to be answered '${answer.trim()}' here and '${other.answer}' by ${place}; keep one`;
    return [finding('contradiction', one, text)];
  });
}

function repetitions(one: PlacedRecord, asked: AskedPrompts): Finding[] {
  const { edit, wordings = [], rephrasings } = one.record;
  const first = asked.get(plain(edit.prompt))!.get(plain(edit.answer))!;
  const again = `the same prompt and answer as ${basename(first.where)}; one is enough`;
  const same = rephrasings.filter(({ prompt }) => plain(prompt) === plain(edit.prompt));
  const learnt = new Set(wordings.map(plain));
  return [
    ...(first.where === one.where ? [] : [finding('same fact twice', one, again)]),
    ...same.map(({ prompt }) =>
      finding(
        'no rephrasing',
        one,
        `the rephrasing '${prompt.trim()}' is the prompt itself: GS would repeat ES; word it otherwise`,
      ),
    ),
    ...rephrasings
      .filter(({ prompt }) => learnt.has(plain(prompt)))
      .map(({ prompt }) => {
        const text = `the rephrasing '${prompt.trim()}' is one of the wordings that the edit learns from: GS would measure nothing new; keep one`;
        return finding('no rephrasing', one, text);
      }),
  ];
}

function editedUnrelated(one: PlacedRecord, asked: AskedPrompts): Finding[] {
  return one.record.unrelated.flatMap(({ prompt }) => {
    const [changed] = asked.get(plain(prompt))?.values() ?? [];
    if (changed === undefined) return [];
    const by = changed.where === one.where ? 'this record itself' : basename(changed.where);
    const text = `the unrelated prompt '${prompt.trim()}' is changed to '${changed.answer}' by ${by}; ask something that stays`;
    return [finding('edited elsewhere', one, text)];
  });
}

function changesNothing(one: PlacedRecord): Finding[] {
  const { edit, was } = one.record;
  if (was === undefined || plain(was) !== plain(edit.answer)) return [];
  return [finding('no change', one, `'${was.trim()}' is both the new answer and what was true before`)];
}
