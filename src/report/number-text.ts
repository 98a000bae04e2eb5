// Numbers as the report writes them. Knows no page.

/**
 * A share between 0 and 1 in percent with one decimal. Only what is whole is called 100%, only what is nothing 0%: rounding
 * must not hide the one fact in ten thousand that failed.
 *
 * @example percent(0.9876) // '98.8%'
 * @example percent(0.99996) // '99.9%'
 */
export function percent(share: number): string {
  if (share === 0 || share === 1) return `${share * 100}%`;
  const tenths = Math.min(999, Math.max(1, Math.round(share * 1000)));
  return `${(tenths / 10).toFixed(1)}%`;
}

/** @example count(12345) // '12,345' */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** Three significant digits. @example significant(0.012345) // '0.0123' */
export function significant(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** The change of a share in percentage points, signed. @example points(0.1, 0.95) // '+85.0 points' */
export function points(before: number, after: number): string {
  const change = (after - before) * 100;
  if (change === 0) return 'no change';
  const size = Math.abs(change) < 0.1 ? '<0.1' : Math.abs(change).toFixed(1);
  return `${change > 0 ? '+' : '\u2212'}${size} points`;
}
