// What a cache of frozen parts keeps of each prompt in training, from graphs alone: nothing is opened or run.

import type { EditableLayer, ModelDefinition } from '../models/model.js';
import { crossingRows, type RowValue } from './crossing-rows.js';
import { LanguageModelPrograms, type TokenChoice } from './lm-programs.js';

/** The values of each record: one kind of record where captures and losses keep the same, else two. */
export function keptRows(
  definition: ModelDefinition,
  layers: readonly EditableLayer[],
  tokens: TokenChoice,
): (readonly RowValue[])[] {
  const programs = new LanguageModelPrograms(definition, layers);
  const plans = [programs.predict(), programs.capture(tokens)].map(({ frozen }) => crossingRows(frozen.outputs));
  return [...new Map(plans.map(({ id, kept }) => [id, kept])).values()];
}
