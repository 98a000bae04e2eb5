// What may be said of a record before any work: one table of kinds. Knows no file and no model.

/** A problem spoils an edit or its measurement; a remark is worth knowing. */
export const findingKinds = {
  unreadable: { severity: 'problem', meaning: 'cannot be read' },
  'repeated id': { severity: 'problem', meaning: 'another record has the same id' },
  contradiction: { severity: 'problem', meaning: 'a prompt that is to be answered in two ways' },
  'edited elsewhere': { severity: 'problem', meaning: 'an unrelated prompt that a record changes' },
  'too long': { severity: 'problem', meaning: 'more tokens than the model reads' },
  'unknown characters': { severity: 'problem', meaning: 'an answer that the tokenizer cannot write' },
  'no answer': { severity: 'problem', meaning: 'a prompt or an answer without a token' },
  'already true': { severity: 'remark', meaning: 'the model says so without an edit' },
  'same fact twice': { severity: 'remark', meaning: 'another record has this prompt and answer' },
  'no rephrasing': { severity: 'remark', meaning: 'a rephrasing that is the edited prompt itself' },
  'blank token': { severity: 'remark', meaning: 'the space before the answer is a token of its own' },
  'no change': { severity: 'remark', meaning: 'the new answer is what was true before' },
} as const satisfies Readonly<Record<string, { readonly severity: 'problem' | 'remark'; readonly meaning: string }>>;

export type FindingKind = keyof typeof findingKinds;

/** Something about one record. */
export interface Finding {
  readonly kind: FindingKind;
  /** `facts.csv:3`: the file and the place in it. */
  readonly where: string;
  /** Absent where the record cannot be read. */
  readonly id?: string;
  /** What is so, and what to do. */
  readonly text: string;
}
