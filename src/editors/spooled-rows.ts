// Rows of all layers on their way through the disk, so that one layer's equation at a time is in memory. Knows no method.

import type { RowSpool, SpooledRows } from '../checkpoint/row-spool.js';
import type { LayerTensors } from '../engine/editable-model.js';
import type { Resident, Runtime } from '../engine/runtime.js';
import type { TensorOf } from '../tensor.js';
import type { TakeRows } from './layer-rows.js';
import type { ShiftAccumulator } from './meta-method.js';

/** What a row output cannot be called. */
const keyName = 'captured keys';

export function intoSpool(runtime: Runtime, spool: RowSpool): TakeRows {
  return async (layer, keys, outputs) => {
    const rows: Record<string, TensorOf<'f32'>> = {};
    for (const [name, matrix] of Object.entries({ ...outputs, [keyName]: keys }))
      rows[name] = await runtime.download<TensorOf<'f32'>>(matrix);
    await spool.append(layer, rows);
  };
}

export interface Feeding {
  readonly signal?: AbortSignal;
  /** Called after each chunk that was fed. */
  readonly onChunk: () => void;
}

/**
 * The shifts, layer after layer: each equation is gone before the next one is fed. The chunks come as they were captured, so
 * every bit is that of equations that are fed at once.
 */
export async function solveFromSpool(
  runtime: Runtime,
  spool: RowSpool,
  accumulators: ReadonlyMap<string, ShiftAccumulator>,
  { signal, onChunk }: Feeding,
): Promise<LayerTensors> {
  const shift = new Map<string, Resident>();
  try {
    for (const [layer, accumulator] of accumulators) {
      for await (const rows of spool.take(layer)) {
        signal?.throwIfAborted();
        await addUploaded(runtime, rows, accumulator);
        onChunk();
      }
      shift.set(layer, (await accumulator.solve()).takeShift());
    }
    return shift;
  } catch (error) {
    runtime.release(...shift.values());
    throw error;
  }
}

async function addUploaded(runtime: Runtime, rows: SpooledRows, accumulator: ShiftAccumulator): Promise<void> {
  const uploaded: Record<string, Resident> = {};
  try {
    for (const [name, tensor] of Object.entries(rows)) uploaded[name] = await runtime.upload(tensor, { move: true });
    const { [keyName]: keys, ...outputs } = uploaded;
    await accumulator.add(keys!, outputs);
  } finally {
    runtime.release(...Object.values(uploaded));
  }
}
