// One fact as the page gets it: the shape of what stands in the page's data. Types only: the page's script imports nothing.

/** Before and after. Where one model was asked once, both are the same. */
export type Pair<T> = readonly [before: T, after: T];

export interface FactLine {
  readonly id: string;
  readonly relation: string | null;
  readonly prompt: string;
  readonly wanted: string;
  readonly was: string | null;
  readonly took: boolean;
  /** What the model says freely after the prompt; null where it was not asked. */
  readonly said: Pair<string> | null;
  readonly exact: Pair<boolean> | null;
  /** Shares between 0 and 1; null where the record has no such prompt. */
  readonly es: Pair<number>;
  readonly gs: Pair<number> | null;
  readonly ls: Pair<number> | null;
  readonly unchanged: number | null;
}

export interface PageData {
  readonly compared: boolean;
  readonly facts: readonly FactLine[];
}
