// One fact to edit, whatever data set it came from: its identity stays with it to the last report.

/** What is asked and what must be answered. */
export interface Example {
  readonly prompt: string;
  readonly answer: string;
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
  readonly unrelated: readonly Example[];
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

/** The true facts to teach a language model: the record's own prompts with `was` (or, without it, the edit's answer), and the unrelated ones. */
export function truthExamples(record: EditRecord): Example[] {
  const answer = record.was ?? record.edit.answer;
  const own = ownPrompts(record).map((prompt) => ({ prompt, answer }));
  return [...own, ...record.unrelated];
}
