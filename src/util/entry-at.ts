// The value at a key of a map, begun where there is none yet. Knows nothing of what it holds.

/** @example entryAt(byRelation, 'capital', () => []).push(fact) */
export function entryAt<K, V>(entries: Map<K, V>, key: K, begin: () => V): V {
  const value = entries.get(key) ?? begin();
  entries.set(key, value);
  return value;
}
