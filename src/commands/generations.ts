// Free greedy generation of every record's edit prompt, as text.

import type { TokenizedRecord } from '../data/tokenized-record.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import { generate } from '../eval/generate.js';
import type { ModelDefinition } from '../models/model.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import type { CommandContext } from './events.js';

/** Whether a model says anything freely: a fact checker gives verdicts only. */
export function writes({ kind }: Pick<ModelDefinition, 'kind'>): boolean {
  return kind !== 'classifier';
}

/** Tokens beyond the wanted answer's length that a generation may take to come to its end. */
const spareTokens = 8;

interface Extent {
  readonly batch: number;
  readonly stage: string;
  /** Only so many records from the beginning; all when absent. */
  readonly first?: number | undefined;
}

/** In the order of the records. */
export async function generateAnswers(
  model: EditableModel,
  weights: LayerTensors,
  tokenizer: Tokenizer,
  all: readonly TokenizedRecord[],
  { batch, stage, first }: Extent,
  { emit, signal }: CommandContext,
): Promise<string[]> {
  const records = all.slice(0, first);
  const longest = records.reduce((most, { edit }) => Math.max(most, edit.answer.length), 0);
  const ids = await generate(
    model,
    weights,
    tokenizer,
    records.map(({ edit }) => edit.prompt),
    {
      maxTokens: longest + spareTokens,
      batch,
      stopAtSentence: true,
      signal,
      onProgress: (done, total) => emit({ kind: 'progress', stage, done, total, unit: 'facts' }),
    },
  );
  return [...(await tokenizer.decode(ids))];
}
