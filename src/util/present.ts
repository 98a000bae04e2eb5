// A property that is there or not: an absent value makes no key.
// Knows nothing of what it means.

/** @example { facts: 3, ...present('gs', mean([])) } // { facts: 3 } */
export function present<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}
