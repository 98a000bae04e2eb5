// A tensor for each edited layer. Knows no model.

import type { Resident } from './runtime.js';

/**
 * A weight, a shift or a gradient for each edited layer, by layer name; resident. Sets of weights are opaque: they come from
 * `EditableModel.base` and `EditableModel.shifted` and may hold no more than what differs from the checkpoint.
 */
export type LayerTensors = ReadonlyMap<string, Resident>;
