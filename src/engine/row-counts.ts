// How many rows each layer has. Knows no model.

/** Rows of each layer, by its name. */
export type RowCounts = ReadonlyMap<string, number>;

/** Layer by layer. */
export function sumRows(counts: readonly RowCounts[]): RowCounts {
  const sums = new Map<string, number>();
  for (const own of counts) for (const [layer, rows] of own) sums.set(layer, (sums.get(layer) ?? 0) + rows);
  return sums;
}
