// How much there is to keep of what lies below the edited layers, by prompt. Counts; keeps nothing.

import { makeBatch } from '../data/split-batches.js';
import type { TokenPair } from '../data/tuple.js';
import { batchPrompts } from '../engine/batch-prompts.js';
import { recordLength } from '../engine/crossing-rows.js';
import { keptRows } from '../engine/kept-rows.js';
import type { TokenChoice } from '../engine/lm-programs.js';
import type { EditableLayer, ModelDefinition } from '../models/model.js';

export interface FrozenPrompts {
  readonly definition: ModelDefinition;
  readonly layers: readonly EditableLayer[];
  readonly tokens: TokenChoice;
  readonly pairs: readonly TokenPair[];
}

/** Distinct prompts and the bytes that they take; none where nothing below the edited layers is one prompt's alone. */
export function frozenSize({ definition, layers, tokens, pairs }: FrozenPrompts): { prompts: number; bytes: number } {
  const kept = keptRows(definition, layers, tokens);
  const known = new Map<string, number>();
  for (const pair of pairs) {
    const [prompt] = batchPrompts(makeBatch(definition.kind, [pair])) ?? [];
    if (prompt) known.set(prompt.key, 4 * kept.reduce((sum, rows) => sum + recordLength(rows, prompt), 0));
  }
  return { prompts: known.size, bytes: [...known.values()].reduce((sum, bytes) => sum + bytes, 0) };
}
