// What the normal equations of an edit take, and what it saves that rows wait on disk: from sizes alone.

import { isCheaperInWhiteBasis } from '../editors/white-basis.js';
import { rowsAtOnce } from '../linalg/row-buffer.js';

const floatBytes = 4;

/** The layers of an edit, and the key rows of each. */
export interface EquationJob {
  readonly layers: readonly { readonly keySize: number; readonly valueSize: number }[];
  readonly rows: number;
  /** Whether keys are preserved. */
  readonly preserves?: boolean | undefined;
}

export interface EquationSize {
  /** Bytes of the equations of all layers at once, and what solving one of them adds. */
  readonly atOnce: number;
  /** The same one after another. */
  readonly oneByOne: number;
  /** Of the rows of all layers, if they wait on disk for that. */
  readonly onDisk: number;
}

/** As `linalg` documents it. */
export function equationSize({ layers, rows: n, preserves = false }: EquationJob): EquationSize {
  const fed: number[] = [];
  const solved: number[] = [];
  for (const { keySize: k, valueSize: v } of layers) {
    const isDual = isSolvedDual(k, n, preserves);
    // Rows; or sums, and rows that are gathered between them.
    fed.push(isDual ? n * (k + v) : k ** 2 / 2 + k * v + Math.min(n, rowsAtOnce(k)) * (k + v));
    solved.push(isDual ? n * n + 5 * n * v : 2 * k * v + (preserves ? k ** 2 / 2 : 0));
  }
  const most = (sizes: readonly number[]) => Math.max(0, ...sizes);
  return {
    atOnce: floatBytes * (fed.reduce((sum, size) => sum + size, 0) + most(solved)),
    oneByOne: floatBytes * most(fed.map((size, at) => size + solved[at]!)),
    onDisk: floatBytes * n * layers.reduce((sum, { keySize, valueSize }) => sum + keySize + valueSize, 0),
  };
}

/** Whether a layer is solved in the form that keeps rows. */
export function isSolvedDual(keySize: number, rows: number, preserves: boolean): boolean {
  return preserves ? isCheaperInWhiteBasis({ rows, keySize }) : rows < keySize;
}
