// Numbers and durations as people read them.
// Knows no terminal.

/** Digits that are shown of a number that is not whole. */
const significantDigits = 4;
/** Beyond these, numbers that are not whole are shown with an exponent. */
const smallestPlain = 1e-3;
const largestPlain = 1e9;

/** @example formatNumber(12345) // '12,345'; formatNumber(0.123456) // '0.1235'; formatNumber(0.00001) // '1.00e-5' */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return grouped(value, 0);
  const size = Math.abs(value);
  if (size < smallestPlain || size >= largestPlain) return value.toExponential(2);
  return grouped(value, decimalsFor(size));
}

/** A column of numbers: as many decimals as the largest needs, the same in every row unless the small ones would vanish. */
export function formatNumbers(values: readonly number[]): string[] {
  const sizes = values.filter((value) => Number.isFinite(value) && value !== 0).map(Math.abs);
  const largest = Math.max(...sizes);
  const decimals = decimalsFor(largest);
  const alike = largest >= smallestPlain && sizes.every((size) => size >= 10 ** -decimals && size < largestPlain);
  if (values.every(Number.isInteger) || sizes.length === 0 || !alike) return values.map(formatNumber);
  return values.map((value) => (Number.isFinite(value) ? grouped(value, decimals) : String(value)));
}

function decimalsFor(size: number): number {
  return Math.max(0, significantDigits - 1 - Math.floor(Math.log10(size)));
}

function grouped(value: number, decimals: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** @example formatDuration(65) // '1:05'; formatDuration(3_725) // '1:02:05'; formatDuration(200_000) // '2d 7h' */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  if (hours >= 24) return `${Math.floor(hours / 24)}d ${hours % 24}h`;
  const minutes = Math.floor(whole / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** Things per second; where one takes longer than a second, seconds per thing. */
export function formatRate(perSecond: number): string {
  if (perSecond >= 1) return `${perSecond >= 100 ? grouped(perSecond, 0) : grouped(perSecond, 1)}/s`;
  const seconds = 1 / perSecond;
  return `${seconds >= 100 ? grouped(seconds, 0) : grouped(seconds, 1)} s each`;
}
