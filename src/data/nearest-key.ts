// The known field that a mistyped one most likely meant.

/** Share of a name's letters that may be wrong before it is taken for another word. */
const tolerated = 0.4;

/** The candidate with the fewest changed letters, or undefined where none is near. Case, dashes and underscores do not count. */
export function nearestKey(typed: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((name) => ({ name, changes: editDistance(bare(typed), bare(name)) }))
    .filter(({ name, changes }) => changes <= tolerated * bare(name).length)
    .sort((a, b) => a.changes - b.changes);
  return ranked[0]?.name;
}

const bare = (name: string) => name.toLowerCase().replaceAll(/[-_]/g, '');

/** Least number of inserted, deleted and replaced letters that turn `a` into `b` (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, replaced));
    }
    row = next;
  }
  return row[b.length]!;
}
