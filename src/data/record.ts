// One fact to edit, whatever data set it came from: its identity stays with it to the last report.

/** What is asked and what must be answered. */
export interface Example {
  readonly prompt: string;
  readonly answer: string;
}

/** A fact that an edit must leave as it is. */
export interface UnrelatedExample extends Example {
  /** Other prompts with the same answer, which `fit` teaches too; they are not asked. */
  readonly wordings?: readonly string[];
}

/** One fact to edit in. An empty list means that nothing of the kind is measured. */
export interface EditRecord {
  readonly id: string;
  readonly edit: Example;
  /** Other prompts of the fact, which an edit of several rounds learns from in turn; they are not scored. */
  readonly wordings?: readonly string[];
  /** The same fact in words that the edit does not see, with the same new answer. */
  readonly rephrasings: readonly Example[];
  /** Facts that the edit must not change, with their true answers. */
  readonly unrelated: readonly UnrelatedExample[];
  readonly subject?: string;
  readonly relation?: string;
  /** The answer that is true before the edit. */
  readonly was?: string;
  /** The rephrasings were made by rule, because the data set has none. */
  readonly rephrasedBy?: 'rule';
}

/** All prompts that ask for the record's own fact. */
export function ownPrompts({ edit, wordings = [], rephrasings }: EditRecord): string[] {
  return [edit.prompt, ...wordings, ...rephrasings.map(({ prompt }) => prompt)];
}

/**
 * The true facts to teach a language model: the record's own prompts with `was` (or, without it, the edit's answer), and the
 * unrelated ones in all their words.
 */
export function truthExamples(record: EditRecord): Example[] {
  const answer = record.was ?? record.edit.answer;
  const asked = (prompts: readonly string[], of: string) => prompts.map((prompt) => ({ prompt, answer: of }));
  const unrelated = record.unrelated.flatMap(({ prompt, wordings = [], answer: of }) =>
    asked([prompt, ...wordings], of),
  );
  return [...asked(ownPrompts(record), answer), ...unrelated];
}
