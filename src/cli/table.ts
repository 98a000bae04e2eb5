// A small table as aligned text.
// Knows no stream and no colours.

import type { CommandEvent } from '../commands/events.js';
import { formatNumbers } from './number-format.js';
import { align, clip, oneLine, textWidth } from './text-width.js';

export type TableEvent = Extract<CommandEvent, { kind: 'table' }>;

interface Column {
  readonly side: 'left' | 'right';
  /** Heading first. */
  readonly cells: readonly string[];
  readonly width: number;
}

const gap = '  ';
/** Text columns are not clipped below this while another is wider. */
const narrowestText = 8;

/**
 * The lines of a table, heading first: numbers right-aligned, `-` for what is missing.
 *
 * @param columns width to clip to; `undefined` clips nothing
 */
export function tableLines(table: TableEvent, columns: number | undefined): string[] {
  const wanted = table.columns.map((name, index) =>
    columnOf(
      name,
      table.rows.map((row) => row[index] ?? null),
    ),
  );
  const fitted = columns === undefined ? wanted : shrink(wanted, columns);
  return ['', ...table.rows].map((_, line) => {
    const cells = fitted.map(({ side, cells, width }) => align(clip(cells[line]!, width), width, side));
    const text = cells.join(gap).trimEnd();
    return columns === undefined ? text : clip(text, columns);
  });
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
