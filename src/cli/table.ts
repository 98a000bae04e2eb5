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
}

const gap = '  ';
/** Text columns are not narrowed below this while another is wider. */
const narrowestText = 8;

/**
 * The lines of a table, heading first: numbers right-aligned, `-` for what is missing, texts that are too wide on several lines.
 *
 * @param columns width to fit into; `undefined` breaks nothing
 */
export function tableLines(table: TableEvent, columns: number | undefined): string[] {
  const wanted = table.columns.map((name, index) =>
    columnOf(
      name,
      table.rows.map((row) => row[index] ?? null),
    ),
  );
  const fitted = columns === undefined ? wanted : shrink(wanted, columns);
  return ['', ...table.rows].flatMap((_, row) => {
    const lines = rowLines(fitted, row);
    return columns === undefined ? lines : lines.map((line) => clip(line, columns));
  });
}

function rowLines(columns: readonly Column[], row: number): string[] {
  const cells = columns.map(({ cells, width }) => wrapCell(cells[row]!, width));
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
  return { side: numbers.length > 0 ? 'right' : 'left', cells: all, width: Math.max(...all.map(textWidth)) };
}

/** Takes columns off the widest text until the row fits; numbers stay whole. */
function shrink(columns: readonly Column[], width: number): Column[] {
  const shrunk = [...columns];
  const excess = () => rowWidth(shrunk) - width;
  while (excess() > 0) {
    const texts = shrunk.filter(({ side, width: own }) => side === 'left' && own > narrowestText);
    const widest = texts.sort((a, b) => b.width - a.width)[0];
    if (widest === undefined) break;
    shrunk[shrunk.indexOf(widest)] = { ...widest, width: widest.width - 1 };
  }
  return shrunk;
}

function rowWidth(columns: readonly Column[]): number {
  return columns.reduce((sum, { width }) => sum + width, gap.length * (columns.length - 1));
}
