// The columns of a spreadsheet of facts: which heading means what. Knows no rows.

import { nearest } from '../util/nearest.js';

/** What a column holds. `note` is for people and is not read. */
export type ColumnRole =
  | 'id'
  | 'prompt'
  | 'answer'
  | 'was'
  | 'subject'
  | 'relation'
  | 'wording'
  | 'rephrasing'
  | 'unrelated prompt'
  | 'unrelated answer'
  | 'note';

export interface Column {
  /** The heading as it stands in the file. */
  readonly name: string;
  /** `B`, as a spreadsheet shows it. */
  readonly letter: string;
  /** Undefined for a heading that means nothing, which is a problem unless the column is empty. */
  readonly role?: ColumnRole;
}

/** Headings beside the roles' own names. Numbers after a heading do not count (`rephrasing 2`), nor do case, `_` and `-`. */
const otherNames: Readonly<Record<string, ColumnRole>> = {
  question: 'prompt',
  target: 'answer',
  'new answer': 'answer',
  'old answer': 'was',
  'true answer': 'was',
  wordings: 'wording',
  'other prompt': 'wording',
  rephrasings: 'rephrasing',
  rephrased: 'rephrasing',
  paraphrase: 'rephrasing',
  unrelated: 'unrelated prompt',
  notes: 'note',
  comment: 'note',
  comments: 'note',
  source: 'note',
};

/** The roles, those that most files have first. */
const columnRoles: readonly ColumnRole[] = [
  'prompt',
  'answer',
  'was',
  'wording',
  'rephrasing',
  'unrelated prompt',
  'unrelated answer',
  'id',
  'subject',
  'relation',
  'note',
];

/** These may stand in one column only. */
const single: readonly ColumnRole[] = ['id', 'prompt', 'answer', 'was', 'subject', 'relation'];

function roleOf(heading: string): ColumnRole | undefined {
  const name = plain(heading);
  return columnRoles.find((role) => role === name) ?? (Object.hasOwn(otherNames, name) ? otherNames[name] : undefined);
}

/** @example plain('Unrelated_Prompt 2') // 'unrelated prompt' */
function plain(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[\s_-]+/g, ' ')
    .replace(/ ?#?\d+$/, '')
    .trim();
}

/** Whether a row names the two columns that every file has. */
export function isHeading(cells: readonly string[]): boolean {
  const roles = cells.map(roleOf);
  return roles.includes('prompt') && roles.includes('answer');
}

export function columnsOf(cells: readonly string[]): Column[] {
  return cells.map((name, at) => {
    const role = roleOf(name);
    return { name, letter: columnLetter(at), ...(role === undefined ? {} : { role }) };
  });
}

/** @example columnLetter(27) // 'AB' */
export function columnLetter(at: number): string {
  const last = String.fromCharCode(65 + (at % 26));
  return at < 26 ? last : columnLetter(Math.floor(at / 26) - 1) + last;
}

/** What is wrong with a heading: all of it. */
export function headingProblems(columns: readonly Column[]): string[] {
  const missing = (['prompt', 'answer'] as const).filter((role) => !columns.some((column) => column.role === role));
  const twice = single.filter((role) => columns.filter((column) => column.role === role).length > 1);
  const unknown = columns.filter(({ role, name }) => role === undefined && name !== '');
  const known = [...columnRoles, ...Object.keys(otherNames)];
  return [
    ...missing.map(
      (role) => `no column is called '${role}'; the first row must name the columns, such as prompt,answer`,
    ),
    ...twice.map((role) => `several columns are the '${role}' (${lettersOf(columns, role)}); keep one`),
    ...unknown.map(({ name, letter }) => `unknown column '${name}' (column ${letter}); ${meant(name, known)}`),
  ];
}

function lettersOf(columns: readonly Column[], role: ColumnRole): string {
  const own = columns.filter((column) => column.role === role);
  return own.map(({ letter }) => letter).join(', ');
}

function meant(name: string, known: readonly string[]): string {
  const near = nearest(plain(name), known);
  if (near !== undefined) return `did you mean '${near}'?`;
  return `the known ones are ${columnRoles.join(', ')}; call it 'note' to keep it for yourself`;
}
