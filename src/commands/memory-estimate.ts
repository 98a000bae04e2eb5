// What training and editing take in memory, from shapes alone: an estimate to plan with, not a promise.

import { groupByShape } from '../engine/layer-group.js';
import type { ModelDefinition } from '../models/model.js';

export interface MemoryEstimate {
  /** The model's weights. */
  readonly weights: number;
  /** Hyper-networks, and with their gradients and Adam's averages while training. */
  readonly hyperNetwork: number;
  readonly hyperNetworkTraining: number;
  /** Edited weights, shifts and gradients. */
  readonly editedLayers: number;
  /** Normal equations of all edited layers. */
  readonly normalEquations: number;
  readonly edit: number;
  readonly train: number;
}

const floatBytes = 4;

/** Bytes for the default layers; `edits` facts of about two answer tokens. */
export function estimateMemory(
  definition: ModelDefinition,
  { edits, rank }: { readonly edits: number; readonly rank: number },
): MemoryEstimate {
  const layers = definition.layers.filter(({ name }) => definition.defaultLayers.includes(name));
  const weights =
    floatBytes * definition.parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const groups = groupByShape(layers);
  const hyperNetwork =
    floatBytes * groups.reduce((sum, { keySize, valueSize }) => sum + 2 * 2 * (keySize + valueSize) * rank, 0);
  const matrix = floatBytes * layers.reduce((sum, { keySize, valueSize }) => sum + keySize * valueSize, 0);
  const rows = 2 * edits;
  const normalEquations =
    floatBytes *
    layers.reduce((sum, { keySize, valueSize }) => {
      const dual = rows * (keySize + valueSize);
      const primal = keySize ** 2 / 2 + keySize * valueSize;
      return sum + (rows < keySize ? dual : primal);
    }, 0);
  const editedLayers = 4 * matrix;
  const hyperNetworkTraining = 5 * hyperNetwork;
  return {
    weights,
    hyperNetwork,
    hyperNetworkTraining,
    editedLayers,
    normalEquations,
    edit: weights + hyperNetwork + editedLayers + normalEquations,
    train: weights + hyperNetworkTraining + editedLayers + normalEquations,
  };
}
