// Sizes of memory as people write them. Knows no use of them.

const units: Readonly<Record<string, number>> = {
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** `6GB`, `512 MiB`, `1.5Gb`: decimal units and binary ones. */
export const byteSizePattern = /^(\d+(?:\.\d+)?) ?([KMGTkmgt]i?[Bb])$/;

/** @throws RangeError for text that is no size */
export function parseByteSize(text: string): number {
  const [, count, unit] = byteSizePattern.exec(text) ?? [];
  if (count === undefined || unit === undefined) throw new RangeError(`'${text}' is no size such as 6GB or 512MiB`);
  return Number(count) * units[unit.toLowerCase()]!;
}

/** @example formatBytes(6_100_000_000) // '6.10 GB' */
export function formatBytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
