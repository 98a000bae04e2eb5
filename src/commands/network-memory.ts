// What the rows of one capture take on their way through the hyper-networks: from graphs and shapes alone.

import { metaMethod } from '../editors/editor-folder.js';
import { networkValues } from '../editors/hyper-network.js';
import type { MetaMethod } from '../editors/meta-method.js';
import type { LayerGroup } from '../engine/layer-group.js';
import { makeProgram } from '../graph/program.js';
import { programPeakBytes, valueBytes } from '../graph/program-memory.js';

const floatBytes = 4;

/** A hyper-network, by its options. */
export interface NetworkSize {
  readonly rank: number;
  readonly blocks: number;
  /** MALMEN's unless said. */
  readonly editor?: MetaMethod['name'];
}

/**
 * Bytes of the captured rows of all groups and the largest pass through a network, outputs included. The form of the network
 * that computes most is taken, since little depends on it.
 * @param rows of one capture, by group
 * @param rowLimit rows that go through a network at once, at most
 */
export function networkPassBytes(
  groups: readonly LayerGroup[],
  rows: readonly number[],
  { rank, blocks, editor = 'malmen' }: NetworkSize,
  rowLimit: number,
): number {
  const captured = groups.reduce((sum, { keySize, valueSize }, at) => sum + rows[at]! * (keySize + valueSize), 0);
  const passes = groups.map(({ keySize, valueSize, layers }, at) => {
    const shape = { keySize, valueSize, layers: layers.length, rank, blocks, statistics: 'layer' } as const;
    const method = metaMethod(editor, true);
    const outputs = method.rowOutputs(networkValues(shape, { scaledUp: method.damped }));
    const once = Math.min(rows[at]!, rowLimit);
    const peak = programPeakBytes(makeProgram(outputs), { dims: new Map([['rows', once]]), parameterBytes: () => 0 });
    // Outputs of several passes are stacked in the end.
    const kept = Object.values(outputs).reduce(
      (sum, value) => sum + valueBytes(value, new Map([['rows', rows[at]!]])),
      0,
    );
    return once === rows[at]! ? peak : Math.max(peak + kept, 2 * kept);
  });
  return floatBytes * captured + Math.max(0, ...passes);
}
