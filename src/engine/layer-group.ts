// Layers of one shape: they share one hyper-network and are captured as one stack of rows.

import type { EditableLayer } from '../models/model.js';
import { type Resident, residentRows } from './runtime.js';

/** Layers of one shape, which share one hyper-network. */
export interface LayerGroup {
  readonly keySize: number;
  readonly valueSize: number;
  readonly layers: readonly EditableLayer[];
}

/** Groups by (keySize, valueSize), in order of first appearance. */
export function groupByShape(layers: readonly EditableLayer[]): LayerGroup[] {
  const groups = new Map<string, EditableLayer[]>();
  for (const layer of layers) {
    const shape = `${layer.keySize}x${layer.valueSize}`;
    groups.set(shape, [...(groups.get(shape) ?? []), layer]);
  }
  return [...groups.values()].map((members) => ({
    keySize: members[0]!.keySize,
    valueSize: members[0]!.valueSize,
    layers: members,
  }));
}

/** The rows of one layer in a stack of several, of which each has its number of rows. A view: not to be released. */
export function layerRows(stack: Resident, counts: readonly number[], layer: number): Resident {
  const start = counts.slice(0, layer).reduce((sum, count) => sum + count, 0);
  return residentRows(stack, start, start + counts[layer]!);
}
