// Weights that are given to a program with each run, because it does not map them from the checkpoint.

import { parameterInput } from '../graph/emit.js';
import type { LayerTensors } from './layer-tensors.js';
import type { OpenModel } from './open-model.js';
import type { Compiled, Feed } from './runtime.js';

/** Those of a program's weights that are chosen, except the edited ones: as residents that the model keeps. */
export async function residentWeights(
  model: Pick<OpenModel, 'residentWeight'>,
  { program }: Compiled,
  chosen: (parameter: string) => boolean,
  edited: LayerTensors = new Map(),
): Promise<Record<string, Feed>> {
  const feeds: Record<string, Feed> = {};
  for (const { attributes } of program.parameters) {
    const { name } = attributes;
    const isEdited = edited.has(name.replace(/\.weight$/, ''));
    if (!isEdited && chosen(name)) feeds[parameterInput(name)] = await model.residentWeight(name);
  }
  return feeds;
}
