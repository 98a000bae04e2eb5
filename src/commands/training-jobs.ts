// The job of a training, as the memory estimate needs it.

import type { TokenizedRecord } from '../data/tokenized-record.js';
import type { TokenChoice } from '../engine/lm-programs.js';
import { evaluatedPairs } from '../eval/evaluate.js';
import { jobsOf } from './memory-job.js';
import type { TrainOptions } from './options.js';
import type { Subject } from './subject.js';

/** What a training is fed with. */
interface TrainingFacts {
  readonly records: readonly TokenizedRecord[];
  /** Whether keys of known facts are preserved. */
  readonly preserves: boolean;
}

/** By its number of prompts per pass. */
export function trainingJobs({ model }: Subject, { records, preserves }: TrainingFacts, options: TrainOptions) {
  const longest = records.map(({ edit }) => edit).sort((a, b) => b.answer.length - a.answer.length);
  return jobsOf({
    task: 'train',
    model,
    layers: model.layers(options.layers),
    pairs: evaluatedPairs(records),
    edits: longest.slice(0, options.edits),
    tokens: tokensOf(options),
    network: options,
    preserves,
    cached: options.cache !== undefined,
  });
}

/** Tokens whose keys are edited. */
export function tokensOf({ editor, tokens }: TrainOptions): TokenChoice {
  return tokens ?? (editor === 'mend' ? 'all' : 'answers');
}
