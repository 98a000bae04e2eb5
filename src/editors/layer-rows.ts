// The rows of each layer, which lie in one stack for all layers of a shape. Knows no method.

import type { CapturedRows } from '../engine/editable-model.js';
import { type LayerGroup, layerRows } from '../engine/layer-group.js';
import type { Resident } from '../engine/runtime.js';

/** Takes rows of one chunk of a layer: keys and a method's row outputs, which stay the caller's. */
export type TakeRows = (layer: string, keys: Resident, outputs: Readonly<Record<string, Resident>>) => Promise<void>;

/** Hands each layer its rows; `keys` of the outputs take the place of the captured ones. */
export async function takeLayers(
  { layers }: LayerGroup,
  captured: CapturedRows,
  { keys = captured.keys, ...outputs }: Readonly<Record<string, Resident>>,
  take: TakeRows,
): Promise<void> {
  for (const [at, { name }] of layers.entries()) {
    const own = Object.fromEntries(
      Object.entries(outputs).map(([key, rows]) => [key, layerRows(rows, captured.counts, at)]),
    );
    await take(name, layerRows(keys, captured.counts, at), own);
  }
}
