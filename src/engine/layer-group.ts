// Layers of one shape: they share one hyper-network and are captured as one stack of rows.

import type { EditableLayer } from '../models/model.js';

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
