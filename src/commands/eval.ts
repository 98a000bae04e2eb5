// `malmen eval`: what a model says of facts, before a shift and with it.

import { readRecords } from '../data/spec.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import { type EditScores, evaluateRecords, summarize, underWeights } from '../eval/evaluate.js';
import { exactMatch, type FactReport, factReports, writeFactReports } from '../eval/fact-report.js';
import type { CommandContext } from './events.js';
import { generateAnswers } from './generations.js';
import type { EvalOptions } from './options.js';
import { scoreTable } from './score-table.js';
import { openShift } from './shift.js';
import { type Subject, tokenizeFor, withSubject } from './subject.js';

export interface EvalResult {
  readonly facts: number;
  readonly shift?: string;
  readonly scores: EditScores;
  readonly exactMatch?: { readonly before: number; readonly after: number };
  readonly out?: string;
}

/** Without a shift, before and after are the same model. */
async function evaluate(options: EvalOptions, context: CommandContext): Promise<EvalResult> {
  const records = await readRecords(options.records);
  return withSubject(options, context, async (subject) => {
    const tokenized = await tokenizeFor(subject, records);
    const { editable, weights } = await openShift(subject, options.shift);
    const onProgress = (done: number, total: number) =>
      context.emit({ kind: 'progress', stage: 'ask', done, total, unit: 'prompts' });
    const predict = underWeights(
      editable,
      { before: editable.base, after: weights },
      { batch: options.batch, signal: context.signal, onProgress },
    );
    const rows = await evaluateRecords(tokenized, predict);
    const speak = (stage: string, set: LayerTensors) =>
      generateAnswers(editable, set, subject.tokenizer, tokenized, { batch: options.batch, stage }, context);
    const reports = options.generate
      ? factReports(tokenized, rows, await generations(editable, weights, speak))
      : factReports(tokenized, rows);
    if (options.out !== undefined) await writeFactReports(options.out, reports);
    return report(options, reports, subject, context);
  });
}

async function generations(
  editable: EditableModel,
  weights: LayerTensors,
  speak: (stage: string, set: LayerTensors) => Promise<string[]>,
) {
  const before = await speak('generate before', editable.base);
  return { before, after: weights === editable.base ? before : await speak('generate after', weights) };
}

function report(
  options: EvalOptions,
  reports: readonly FactReport[],
  { model }: Subject,
  { emit }: CommandContext,
): EvalResult {
  const scores = summarize(reports);
  const exact = exactMatch(reports);
  emit(
    scoreTable(
      `${reports.length} facts, ${model.folder.dir}${options.shift === undefined ? '' : ` with ${options.shift}`}`,
      scores,
      exact,
    ),
  );
  return {
    facts: reports.length,
    ...(options.shift === undefined ? {} : { shift: options.shift }),
    scores,
    ...(exact ? { exactMatch: exact } : {}),
    ...(options.out === undefined ? {} : { out: options.out }),
  };
}

export { evaluate as eval };
