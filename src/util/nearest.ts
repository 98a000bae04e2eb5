// The known name that a mistyped one most likely meant.
// Knows nothing of flags or files.

/** Letters that must be typed before the beginning of a name stands for it. */
const shortestPrefix = 3;

/**
 * The candidate nearest to `typed`: by the least changed letters, or else one that begins with it. `undefined` where
 * none is near enough to be meant: more than two fifths of its letters would have to change. Case, dashes and
 * underscores do not count.
 */
export function nearest(typed: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = editDistance(bare(typed), bare(candidate));
    if (distance < bestDistance && distance <= 0.4 * bare(candidate).length) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best ?? candidates.find((name) => bare(typed).length >= shortestPrefix && bare(name).startsWith(bare(typed)));
}

/** `; did you mean X?`, or nothing where no candidate is near. */
export function didYouMean(typed: string, candidates: readonly string[]): string {
  const name = nearest(typed, candidates);
  return name === undefined ? '' : `; did you mean ${name}?`;
}

const bare = (name: string) => name.toLowerCase().replaceAll(/[-_]/g, '');

/** Least number of inserted, deleted and replaced letters that turn `a` into `b` (Levenshtein). */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(previous[j]! + 1, row[j - 1]! + 1, replaced));
    }
    previous = row;
  }
  return previous[b.length]!;
}
