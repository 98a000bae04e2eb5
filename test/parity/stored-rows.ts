// Rows captured as the published code does it, and their host copies by layer, batch after batch as they are stored.

import { answerCount } from '../../src/editors/editor.js';
import type { HyperEditor, RowChunk } from '../../src/editors/hyper-editor.js';
import type { CapturedRows, EditableModel } from '../../src/engine/editable-model.js';
import { layerRows as rowsOfLayer } from '../../src/engine/layer-group.js';
import type { Resident } from '../../src/engine/runtime.js';
import { storedBatches } from './stored-batches.js';
import { floats, type OpenRun } from './stored-editor.js';

/** The value gradients are those of each batch's mean loss. The chunks are the caller's. */
export async function publishedCapture(run: OpenRun, editor: HyperEditor, prefix: string): Promise<RowChunk[]> {
  const chunks: RowChunk[] = [];
  for (const batch of storedBatches(run.tuples, prefix)) {
    chunks.push(await editor.capture(run.editable, batch, { scale: 1 / answerCount(batch) }));
  }
  return chunks;
}

/** A stack of one batch, layer after layer, and the rows of each layer in it. */
export type Stack = readonly [stack: Resident, counts: CapturedRows['counts']];

/** `stacksOf(group)` holds one stack per batch; the result one list per layer, batch after batch. */
export async function layerRows(
  editable: EditableModel,
  stacksOf: (group: number) => readonly Stack[],
): Promise<Map<string, number[]>> {
  const rows = new Map<string, number[]>();
  for (const [group, { layers }] of editable.groups.entries()) {
    for (const [stack, counts] of stacksOf(group)) {
      for (const [at, { name }] of layers.entries()) {
        const values = await floats(editable, rowsOfLayer(stack, counts, at));
        rows.set(name, [...(rows.get(name) ?? []), ...values]);
      }
    }
  }
  return rows;
}
