// `malmen eval`: what a model says of facts, before a shift and with it.

import type { EditRecord } from '../data/record.js';
import { parseSpec, readRecords } from '../data/spec.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import { type EditScores, evaluatedPairs, evaluateRecords, summarize, underWeights } from '../eval/evaluate.js';
import { exactMatch, type FactReport, factReports, writeFactReports } from '../eval/fact-report.js';
import type { NeutralScores } from '../eval/neutral-scores.js';
import { present } from '../util/present.js';
import { writeEvalReport } from './eval-report.js';
import type { CommandContext } from './events.js';
import { generateAnswers, writes } from './generations.js';
import { layerNorms } from './layer-norms.js';
import { jobsOf } from './memory-job.js';
import { planRun, type RunPlan, withMemoryReport } from './memory-limit.js';
import { askNeutral, compareNeutral, neutralRecords } from './neutral.js';
import { askOdds, type OddsById, type OddsReport, oddsTable } from './odds.js';
import type { EvalOptions } from './options.js';
import { scoreTable } from './score-table.js';
import { openShift } from './shift.js';
import { noteRules, type Subject, tokenizeFor, withSubject } from './subject.js';

/** What a model says of facts, before and after a shift. */
export interface EvalResult {
  readonly facts: number;
  readonly shift?: string;
  readonly scores: EditScores;
  readonly exactMatch?: { readonly before: number; readonly after: number };
  /** Locality on built-in prompts; only where no record has an unrelated prompt. */
  readonly neutral?: NeutralScores;
  /** Probabilities of new and true answers; only with `probabilities`. */
  readonly probabilities?: OddsReport;
  readonly out?: string;
  readonly report?: string;
}

/** Without a shift, before and after are the same model. */
async function evaluate(options: EvalOptions, context: CommandContext): Promise<EvalResult> {
  const records = await readRecords(options.records);
  const run = () => withSubject(options, context, (subject) => ask(subject, records, options, context));
  return withMemoryReport(options.memory, context, run);
}

async function ask(
  subject: Subject,
  records: readonly EditRecord[],
  asked: EvalOptions,
  context: CommandContext,
): Promise<EvalResult> {
  const tokenized = await tokenizeFor(subject, records);
  noteRules(records, context);
  const pairs = evaluatedPairs(tokenized);
  let plan: RunPlan | undefined;
  const { editable, weights, saved } = await openShift(subject, asked.shift, (layers) => {
    plan = planRun(asked, jobsOf({ task: 'eval', model: subject.model, layers, pairs, tokens: 'answers' }), context);
    return plan;
  });
  const options = { ...asked, batch: plan!.batch };
  const { batch } = options;
  const onProgress = (done: number, total: number) =>
    context.emit({ kind: 'progress', stage: 'ask', done, total, unit: 'prompts' });
  const sets = { before: editable.base, after: weights };
  const predict = underWeights(editable, sets, { batch, signal: context.signal, onProgress });
  const rows = await evaluateRecords(tokenized, predict);
  const speak = (stage: string, set: LayerTensors) =>
    generateAnswers(
      editable,
      set,
      subject.tokenizer,
      tokenized,
      { batch, stage, first: options.generateFacts },
      context,
    );
  const odds = wantsOdds(options) ? await askOdds(editable, weights, tokenized, options, context) : undefined;
  const spoken =
    options.generate && writes(subject.model.definition) ? await generations(editable, weights, speak) : undefined;
  const reports = withOdds(factReports(tokenized, rows, spoken), odds?.byId);
  if (options.out !== undefined) await writeFactReports(options.out, reports);
  const neutral = await neutralLocality(subject, { editable, weights }, records, options, context);
  const result = summary(asked, reports, { neutral, probabilities: odds?.report });
  if (asked.report !== undefined) {
    const layers = saved ? await layerNorms(editable, saved.modules) : [];
    await writeEvalReport(asked.report, { options: asked, result, reports, layers, hash: subject.hash });
  }
  tell(result, asked, subject, context);
  return result;
}

/** CounterFact's own metrics: of its own data, and of whatever else they are asked for. */
function wantsOdds({ probabilities, records }: EvalOptions): boolean {
  return probabilities ?? parseSpec(records).kind === 'counterfact';
}

function withOdds(reports: readonly FactReport[], odds: OddsById | undefined): readonly FactReport[] {
  return odds === undefined ? reports : reports.map((one) => ({ ...one, ...present('odds', odds.get(one.id)) }));
}

async function neutralLocality(
  subject: Subject,
  { editable, weights }: { readonly editable: EditableModel; readonly weights: LayerTensors },
  records: readonly EditRecord[],
  { batch, generate }: EvalOptions,
  context: CommandContext,
): Promise<NeutralScores | undefined> {
  if (weights === editable.base) return undefined;
  const neutral = await neutralRecords(subject, records);
  const say = (when: 'before' | 'after', set: LayerTensors) =>
    askNeutral({ editable, weights: set, tokenizer: subject.tokenizer }, neutral, { batch, generate, when }, context);
  return compareNeutral(await say('before', editable.base), await say('after', weights));
}

async function generations(
  editable: EditableModel,
  weights: LayerTensors,
  speak: (stage: string, set: LayerTensors) => Promise<string[]>,
) {
  const before = await speak('generate before', editable.base);
  return { before, after: weights === editable.base ? before : await speak('generate after', weights) };
}

interface Besides {
  readonly neutral: NeutralScores | undefined;
  readonly probabilities: OddsReport | undefined;
}

function summary(
  { shift, out, report }: EvalOptions,
  reports: readonly FactReport[],
  { neutral, probabilities }: Besides,
): EvalResult {
  return {
    facts: reports.length,
    ...present('shift', shift),
    scores: summarize(reports),
    ...present('exactMatch', exactMatch(reports)),
    ...present('neutral', neutral),
    ...present('probabilities', probabilities),
    ...present('out', out),
    ...present('report', report),
  };
}

function tell(
  { facts, scores, exactMatch: exact, neutral, probabilities, report }: EvalResult,
  { shift }: EvalOptions,
  { model }: Subject,
  { emit }: CommandContext,
): void {
  const asked = `${model.folder.dir}${shift === undefined ? '' : ` with ${shift}`}`;
  emit(scoreTable(`${facts} facts, ${asked}`, scores, exact, neutral));
  if (probabilities) emit(oddsTable(probabilities));
  if (report !== undefined) emit({ kind: 'note', text: `report: ${report} (open it in a browser)` });
}

export { evaluate as eval };
