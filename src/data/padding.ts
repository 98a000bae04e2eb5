// Rows of ids of different lengths as one rectangle, filled up on the right. Knows no model.

import { f32, i64, type TensorOf } from '../tensor.js';

export interface PaddedRows {
  /** [rows, longest] */
  readonly ids: TensorOf<'i64'>;
  /** [rows, longest], 1 = real, 0 = padding */
  readonly mask: TensorOf<'f32'>;
}

/** `rows` holds at least one. */
export function padRows(rows: readonly (readonly number[])[], padId: number): PaddedRows {
  const longest = Math.max(...rows.map((row) => row.length));
  const shape = [rows.length, longest];
  const fill = (row: readonly number[], filler: number) => [
    ...row,
    ...Array.from({ length: longest - row.length }, () => filler),
  ];
  return {
    ids: i64(
      rows.flatMap((row) => fill(row, padId)),
      shape,
    ),
    mask: f32(
      rows.flatMap((row) =>
        fill(
          row.map(() => 1),
          0,
        ),
      ),
      shape,
    ),
  };
}
