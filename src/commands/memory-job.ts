// The job that a command is about to do, as the memory estimate needs it: its largest batch of prompts and its number of rows.

import { makeBatch } from '../data/split-batches.js';
import { inputLength, type TokenPair } from '../data/tuple.js';
import type { LanguageModel } from '../engine/language-model.js';
import type { TokenChoice } from '../engine/lm-programs.js';
import type { EditableLayer } from '../models/model.js';
import type { MemoryJob, MemoryTask } from './memory-estimate.js';
import type { NetworkSize } from './network-memory.js';

export interface JobDescription {
  readonly task: MemoryTask;
  readonly model: Pick<LanguageModel, 'definition' | 'isFloat32'>;
  readonly layers: readonly EditableLayer[];
  /** Everything that will be asked of the model. */
  readonly pairs: readonly TokenPair[];
  /** The facts of one edit; none where nothing is edited. */
  readonly edits?: readonly TokenPair[];
  readonly tokens: TokenChoice;
  readonly network?: NetworkSize;
  readonly preserves?: boolean;
  readonly eases?: boolean;
  readonly cached?: boolean;
  readonly frozenBytes?: number;
}

/** The job by its number of prompts per pass. */
export function jobsOf({ model, pairs, edits = [], ...job }: JobDescription): (batchSize: number) => MemoryJob {
  const { definition } = model;
  const isFloat32 = (name: string) => model.isFloat32(name);
  // Layers of an encoder capture the prompt whatever is asked for: as many rows as those with the most.
  const answersOnly = job.tokens === 'answers' && definition.kind !== 'encoder-decoder';
  const rows = edits.reduce(
    (sum, { prompt, answer }) => sum + (answersOnly ? answer.length : prompt.length + answer.length),
    0,
  );
  const { kind } = definition;
  const longestFirst = pairs.toSorted((a, b) => inputLength(b, kind) - inputLength(a, kind));
  return (batchSize) => {
    return { ...job, definition, isFloat32, rows, batch: makeBatch(kind, longestFirst.slice(0, batchSize)) };
  };
}
