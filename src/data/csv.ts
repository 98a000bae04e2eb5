// Facts from a spreadsheet: CSV or TSV with a row that names the columns, then a fact a row. `prompt` and `answer` are enough.

import { createHash } from 'node:crypto';
import { MalmenError } from '../errors.js';
import { type Column, type ColumnRole, columnLetter, columnsOf, headingProblems, isHeading } from './csv-columns.js';
import { type CsvRow, csvRows } from './csv-rows.js';
import type { EditRecord, Example } from './record.js';
import type { PlacedRecord, RecordSource } from './record-reader.js';
import { readText } from './text-file.js';

/** Reads the file whole. @throws MalmenError where the heading is wrong, besides what every reader throws */
export async function* readCsv({ path, problems, signal }: RecordSource): AsyncGenerator<PlacedRecord> {
  const [heading, ...rows] = csvRows(await readText(path, signal), path, isHeading);
  if (heading === undefined)
    throw new MalmenError(
      'bad-input',
      `${path}: holds comments only; it should hold a row of column names and at least one fact`,
    );
  const columns = columnsOf(heading.cells);
  const wrong = headingProblems(columns).map((problem) => `${path}:${heading.line}: ${problem}`);
  if (wrong.length > 0) throw new MalmenError('bad-input', wrong.join('\n'));
  for (const row of rows) {
    const where = `${path}:${row.line}`;
    const reading = readRow(row, columns);
    if (reading.problems.length === 0) yield { where, record: reading.record };
    for (const problem of reading.problems) problems.add(where, problem);
  }
}

interface RowReading {
  /** Only of use where there is no problem. */
  readonly record: EditRecord;
  readonly problems: readonly string[];
}

/** A cell with something in it, and its column. */
interface Cell extends Column {
  readonly text: string;
}

function readRow({ cells }: CsvRow, columns: readonly Column[]): RowReading {
  const filled = cells.flatMap((text, at): Cell[] =>
    text === '' ? [] : [{ text, ...(columns[at] ?? { name: '', letter: columnLetter(at) }) }],
  );
  const one = (role: ColumnRole) => filled.find((cell) => cell.role === role)?.text;
  const [prompt, answer] = [one('prompt'), one('answer')];
  const all = (role: ColumnRole) => filled.filter((cell) => cell.role === role).map(({ text }) => text);
  const wordings = all('wording');
  const unrelated = pairUnrelated(cells, columns);
  const optional = (['subject', 'relation', 'was'] as const).flatMap((key) => {
    const text = one(key);
    return text === undefined ? [] : [[key, text] as const];
  });
  return {
    record: {
      id: one('id') ?? idOf(prompt ?? '', answer ?? ''),
      edit: { prompt: prompt ?? '', answer: answer ?? '' },
      ...(wordings.length > 0 ? { wordings } : {}),
      rephrasings: all('rephrasing').map((text) => ({ prompt: text, answer: answer ?? '' })),
      unrelated: unrelated.examples,
      ...Object.fromEntries(optional),
    },
    problems: [
      ...(prompt === undefined ? [missing(columns, 'prompt')] : []),
      ...(answer === undefined ? [missing(columns, 'answer')] : []),
      ...unrelated.problems,
      ...strayCells(filled, columns.length),
    ],
  };
}

/** The same fact has the same id in every file and on every line. 48 bits tell a million facts apart. */
function idOf(prompt: string, answer: string): string {
  return `fact-${createHash('sha256')
    .update(`${prompt}
${answer}`)
    .digest('hex')
    .slice(0, 12)}`;
}

function missing(columns: readonly Column[], role: 'prompt' | 'answer'): string {
  const { name, letter } = columns.find((column) => column.role === role)!;
  return `${name} (column ${letter}): is empty; every fact needs a prompt and an answer`;
}

/** The first prompt with the first answer, the second with the second, in the order of the columns. */
function pairUnrelated(cells: readonly string[], columns: readonly Column[]) {
  const own = (role: ColumnRole) =>
    columns.flatMap((column, at) => (column.role === role ? [{ ...column, text: cells[at] ?? '' }] : []));
  const [prompts, answers] = [own('unrelated prompt'), own('unrelated answer')];
  const examples: Example[] = [];
  const problems: string[] = [];
  for (let at = 0; at < Math.max(prompts.length, answers.length); at++) {
    const [prompt, answer] = [prompts[at], answers[at]];
    if (prompt?.text && answer?.text) examples.push({ prompt: prompt.text, answer: answer.text });
    else if (prompt?.text)
      problems.push(`${prompt.name} (column ${prompt.letter}): has no answer beside it; ${wantsAnswer(answer)}`);
    else if (answer?.text) problems.push(`${answer.name} (column ${answer.letter}): has no prompt beside it`);
  }
  return { examples, problems };
}

function wantsAnswer(column: Column | undefined): string {
  const place =
    column === undefined ? `add a column 'unrelated answer'` : `fill in ${column.name} (column ${column.letter})`;
  return `${place}: the true answer, which must not change`;
}

/** Cells under no heading: most often a text that was cut in two. */
function strayCells(filled: readonly Cell[], width: number): string[] {
  return filled
    .filter(({ role }) => role === undefined)
    .map(
      ({ letter, text }) =>
        `column ${letter} has no name but holds '${text}'; the heading has ${width} columns: put a text that holds the separator in double quotes`,
    );
}
