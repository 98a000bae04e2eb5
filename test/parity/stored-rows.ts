// Rows captured as the published code does it, and their host copies by layer, batch after batch as they are stored.

import { answerCount } from '../../src/editors/editor.js';
import type { HyperEditor, RowChunk } from '../../src/editors/hyper-editor.js';
import type { EditableModel } from '../../src/engine/editable-model.js';
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

/** `stacksOf(group)` holds one stack per batch, each layer after layer; the result one list per layer, batch after batch. */
export async function layerRows(
  editable: EditableModel,
  stacksOf: (group: number) => readonly Resident[],
): Promise<Map<string, number[]>> {
  const rows = new Map<string, number[]>();
  for (const [group, { layers }] of editable.groups.entries()) {
    for (const stack of stacksOf(group)) {
      const values = await floats(editable, stack);
      const each = values.length / layers.length;
      for (const [at, { name }] of layers.entries()) {
        rows.set(name, [...(rows.get(name) ?? []), ...values.subarray(at * each, (at + 1) * each)]);
      }
    }
  }
  return rows;
}
