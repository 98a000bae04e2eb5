// A small table as aligned text.
// Knows no stream and no colours.

import type { CommandEvent } from '../commands/events.js';
import { formatNumbers } from './number-format.js';
import { align, clip, oneLine, textWidth, wrapCell } from './text-width.js';

export type TableEvent = Extract<CommandEvent, { kind: 'table' }>;

interface Column {
  readonly side: 'left' | 'right';
  /** Heading first. */
  readonly cells: readonly string[];
  readonly width: number;
  /** Below this numbers would be cut, and words while there is another way. */
  readonly least: number;
}

const gap = '  ';
/** Text columns are not narrowed below this while another is wider. */
const narrowestText = 8;

/** Lines after the first of a text stand in by so much. */
const hanging = '  ';

/** A table as lines of text. */
export interface TableLines {
  readonly head: readonly string[];
  readonly rows: readonly string[];
}

/**
 * Lays a table out: numbers right-aligned, `-` for what is missing, texts and headings that are too wide on several lines.
 *
 * @param columns width to fit into; `undefined` breaks nothing
 */
export function layOutTable(table: TableEvent, columns: number | undefined): TableLines {
  const wanted = table.columns.map((name, index) =>
    columnOf(
      name,
      table.rows.map((row) => row[index] ?? null),
    ),
  );
  const fitted = columns === undefined ? wanted : shrink(wanted, columns);
  const linesOf = (row: number) => {
    const lines = rowLines(fitted, row);
    return columns === undefined ? lines : lines.map((line) => clip(line, columns));
  };
  return { head: linesOf(0), rows: table.rows.flatMap((_, at) => linesOf(at + 1)) };
}

function rowLines(columns: readonly Column[], row: number): string[] {
  const cells = columns.map(({ side, cells, width }) => wrapCell(cells[row]!, width, side === 'left' ? hanging : ''));
  const height = Math.max(...cells.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) =>
    columns
      .map(({ side, width }, at) => align(cells[at]![line] ?? '', width, side))
      .join(gap)
      .trimEnd(),
  );
}

function columnOf(name: string, values: readonly (string | number | null)[]): Column {
  const numbers = formatNumbers(values.filter((value) => typeof value === 'number'));
  let next = 0;
  const cells = values.map((value) => {
    if (value === null) return '-';
    return typeof value === 'number' ? numbers[next++]! : oneLine(value);
  });
  const all = [oneLine(name), ...cells];
  const width = Math.max(...all.map(textWidth));
  if (numbers.length === 0) return { side: 'left', cells: all, width, least: Math.min(width, leastText(all)) };
  return { side: 'right', cells: all, width, least: Math.max(longestWord(all[0]!), ...cells.map(textWidth)) };
}

const longestWord = (text: string) => Math.max(...text.split(' ').map(textWidth));

const leastText = (cells: readonly string[]) =>
  Math.max(narrowestText, hanging.length + Math.max(...cells.map(longestWord)));

/** Takes columns off the widest until the row fits: of headings, then between the words of texts, then within them. */
function shrink(columns: readonly Column[], width: number): Column[] {
  let shrunk = columns;
  for (const least of [whole, betweenWords, withinWords]) {
    shrunk = narrow(shrunk, width, (column) => (column.side === 'right' ? column.least : least(column)));
  }
  return [...shrunk];
}

const whole = ({ width }: Column) => width;
const betweenWords = ({ least }: Column) => least;
const withinWords = () => narrowestText;

function narrow(columns: readonly Column[], width: number, least: (column: Column) => number): Column[] {
  const shrunk = [...columns];
  while (rowWidth(shrunk) > width) {
    const widest = shrunk.filter((column) => column.width > least(column)).sort((a, b) => b.width - a.width)[0];
    if (widest === undefined) break;
    shrunk[shrunk.indexOf(widest)] = { ...widest, width: widest.width - 1 };
  }
  return shrunk;
}

function rowWidth(columns: readonly Column[]): number {
  return columns.reduce((sum, { width }) => sum + width, gap.length * (columns.length - 1));
}
