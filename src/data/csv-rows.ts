// Rows of a CSV or TSV file as spreadsheets save them, each with the line that it begins on. Knows no columns.

import { parse } from 'csv-parse/sync';
import { MalmenError } from '../errors.js';

export interface CsvRow {
  /** From 1. */
  readonly line: number;
  /** Without white space around; a row may have fewer or more cells than the first one. */
  readonly cells: readonly string[];
}

/** What may stand between cells: a comma, a semicolon where the comma is the decimal sign, or a tab. */
const delimiters = [',', ';', '\t'] as const;

type Delimiter = (typeof delimiters)[number];

/** Excel's own first line, `sep=;`. */
const separatorLine = /^"?sep=(.)"?$/;

/**
 * The rows that hold something. Left out are empty ones and comments: rows whose first cell is `#` or begins with `# `.
 *
 * Quotes are those of spreadsheets ("" inside quotes is one); a quote elsewhere in a cell stands for itself.
 * @param source named in errors
 * @param isHeading whether these cells are the first row, when cells are told apart in this way
 * @throws MalmenError for a quote that is never closed, or closed before the end of its cell
 */
export function csvRows(text: string, source: string, isHeading: (cells: readonly string[]) => boolean): CsvRow[] {
  const { content, declared } = withoutSeparatorLine(text.replaceAll(/\r\n?/g, '\n'));
  const delimiter = declared ?? likelyDelimiter(content, isHeading);
  return parseRows(content, delimiter, source).filter(({ cells: [first = '', ...others] }) => {
    const isComment = first === '#' || first.startsWith('# ');
    return !isComment && [first, ...others].some((cell) => cell !== '');
  });
}

/** The line stays, empty: line numbers are those of the file. */
function withoutSeparatorLine(text: string): { readonly content: string; readonly declared?: Delimiter } {
  const end = text.indexOf('\n');
  const declared = separatorLine.exec(text.slice(0, Math.max(0, end)).trim())?.[1] as Delimiter | undefined;
  return declared !== undefined && delimiters.includes(declared)
    ? { content: text.slice(end), declared }
    : { content: text };
}

/** The one that makes a heading of some line near the top; a comma where none does. */
function likelyDelimiter(text: string, isHeading: (cells: readonly string[]) => boolean): Delimiter {
  const lines = text.split('\n').filter((line) => !/^(\s*|"?#( .*)?)$/.test(line));
  const heading = lines[0] ?? '';
  return delimiters.find((delimiter) => isHeading(heading.split(delimiter).map(bare))) ?? mostFrequent(heading);
}

function mostFrequent(line: string): Delimiter {
  const count = (delimiter: Delimiter) => line.split(delimiter).length;
  return [...delimiters].sort((a, b) => count(b) - count(a))[0]!;
}

const bare = (cell: string) =>
  cell
    .trim()
    .replace(/^"(.*)"$/, '$1')
    .trim();

function parseRows(text: string, delimiter: Delimiter, source: string): CsvRow[] {
  const rows: CsvRow[] = [];
  let end = 0;
  const keep = (cells: string[], { lines }: { readonly lines: number }) => {
    rows.push({ line: end + 1, cells: cells.map((cell) => cell.trim()) });
    end = lines;
    return null;
  };
  const options = { delimiter, record_delimiter: '\n', trim: true, relax_quotes: true, relax_column_count: true };
  try {
    parse(text, { ...options, on_record: keep });
  } catch (error) {
    throw parsingError(error, `${source}:${end + 1}`);
  }
  return rows;
}

const quoteProblems: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'a cell opens with " and is never closed; write "" for a quote inside a quoted cell',
  CSV_NON_TRIMABLE_CHAR_AFTER_CLOSING_QUOTE:
    'text goes on after the closing "; put the whole cell in quotes and write "" for each quote inside',
};

function parsingError(error: unknown, where: string): unknown {
  const { code = '', message } = error as { readonly code?: string; readonly message: string };
  if (!code.startsWith('CSV_')) return error;
  return new MalmenError('bad-input', `${where}: ${quoteProblems[code] ?? message}`, { cause: error });
}
