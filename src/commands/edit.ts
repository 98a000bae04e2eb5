// `malmen edit`: edits a model, saves it, opens what it saved and asks that.

import { basename, join } from 'node:path';
import { saveEditedModel } from '../checkpoint/save-model.js';
import { saveShift } from '../checkpoint/shift-file.js';
import { askedInRound } from '../data/asked-in-round.js';
import type { EditRecord } from '../data/record.js';
import { readRecords } from '../data/spec.js';
import type { TokenizedRecord } from '../data/tokenized-record.js';
import { readEditorDescription } from '../editors/editor-folder.js';
import type { EditableModel } from '../engine/editable-model.js';
import { editedWeight } from '../engine/edited-weight.js';
import { lazyDownload } from '../engine/runtime.js';
import { type EditScores, evaluatedPairs, factRows, summarize } from '../eval/evaluate.js';
import { exactMatch, type FactReport, factReports, writeFactReports } from '../eval/fact-report.js';
import type { AnswerPrediction } from '../eval/metrics.js';
import type { NeutralScores } from '../eval/neutral-scores.js';
import { predictPairs } from '../eval/predict.js';
import type { LayerNorms } from '../report/report-data.js';
import { refuseFilledFolder, writeFileAtomic } from '../util/atomic-file.js';
import { present } from '../util/present.js';
import { answersEnd, endedWhere } from './answer-ends.js';
import { reportPath, writeEditReport } from './edit-report.js';
import type { CommandContext } from './events.js';
import { generateAnswers, writes } from './generations.js';
import { assertKeeps, keptInRound, keptPrompts } from './kept-prompts.js';
import { layerNorms } from './layer-norms.js';
import { answeredByModel } from './made-up-subjects.js';
import { jobsOf } from './memory-job.js';
import { planRun, withMemoryReport } from './memory-limit.js';
import { askNeutral, compareNeutral, type NeutralAnswers, neutralRecords } from './neutral.js';
import { openEditor } from './open-editor.js';
import type { EditOptions } from './options.js';
import { type Rounding, roundingOf } from './rounding.js';
import { scoreTable } from './score-table.js';
import { noteRules, type Subject, tokenizeFor, withSubject } from './subject.js';

/** What an edit did, asked of the saved checkpoint; also the content of `edit.json`. */
export interface EditResult {
  readonly out: string;
  readonly editor: string;
  readonly facts: number;
  /** Facts whose whole answer is now the most likely one, asked of the saved checkpoint. */
  readonly took: number;
  readonly failedIds: readonly string[];
  readonly scores: EditScores;
  readonly exactMatch?: { readonly before: number; readonly after: number };
  /** Locality on built-in prompts; only where no record has an unrelated prompt. */
  readonly neutral?: NeutralScores;
  /** Frobenius norm of each layer's shift, and of its weight. */
  readonly layers: readonly LayerNorms[];
  readonly editSeconds: number;
  readonly secondsPerFact: number;
  readonly verified: 'the saved checkpoint, opened again from disk';
  readonly leftOut: readonly string[];
  /** Only where edited weights are stored in 16 bits. */
  readonly rounding?: Rounding;
}

/** What the base model said, before it is closed. */
interface Before {
  readonly records: readonly TokenizedRecord[];
  readonly predictions: readonly AnswerPrediction[];
  readonly generations: readonly string[] | undefined;
  readonly neutral: { readonly records: readonly TokenizedRecord[]; readonly answers: NeutralAnswers };
}

interface Edited {
  readonly editor: string;
  /** Content hash of the base model. */
  readonly baseHash: string;
  readonly before: Before;
  readonly layers: EditResult['layers'];
  readonly editSeconds: number;
  readonly leftOut: readonly string[];
  readonly rounding: Rounding | undefined;
}

/** `malmen edit`: writes a checkpoint, then opens and asks it. @throws MalmenError for bad records, another base model, a filled output folder */
export async function edit(options: EditOptions, context: CommandContext): Promise<EditResult> {
  await refuseFilledFolder(options.out, options.force);
  const records = await readRecords(options.records);
  const { edited, reports, neutral, hash } = await withMemoryReport(options.memory, context, async () => {
    const done = await withSubject(options, context, (subject) => editAndSave(subject, records, options, context));
    return { edited: done, ...(await verify(done.before, options, context)) };
  });
  const result = summary(options, edited, reports, neutral);
  await writeFactReports(join(options.out, 'facts.jsonl'), reports);
  await writeFileAtomic(join(options.out, 'edit.json'), `${JSON.stringify({ ...result, options }, null, 2)}\n`);
  await writeEditReport(options, { result, reports, hashes: { base: edited.baseHash, edited: hash } });
  tell(result, reports, context);
  return result;
}

async function editAndSave(
  subject: Subject,
  records: readonly EditRecord[],
  options: EditOptions,
  context: CommandContext,
): Promise<Edited> {
  const { model, hash } = subject;
  const tokenized = await tokenizeFor(subject, records);
  noteRules(records, context);
  const description = options.editor === 'ft' ? undefined : await readEditorDescription(options.editor);
  const ends = description?.ends ?? answersEnd(subject, undefined);
  const told = endedWhere(subject, tokenized, ends);
  const { known, madeUp } = await keptPrompts(subject, told, { ...options, ends });
  const opened = await openEditor(
    subject,
    { records: told, kept: [...madeUp, ...known] },
    description,
    options,
    context,
  );
  const { editable, editor, rounds, lambdaScale, plan, forget, close } = opened;
  assertKeeps(options, opened);
  const kept = [...known, ...(await answeredByModel(subject, editable, madeUp, { ...plan, ends }, context))];
  if (madeUp.length > 0) forget();
  noteWordings(tokenized, rounds, context);
  const start = performance.now();
  const inRound = askedInRound(told, { kind: model.definition.kind, batchSize: plan.batch, rounds });
  const shift = await editor.computeShift(editable, inRound(rounds - 1), {
    signal: context.signal,
    rounds,
    lambdaScale,
    ...present('hold', options.hold),
    inRound,
    kept: keptInRound(subject, kept, { ...options, ...plan }),
    onProgress: ({ done, total }) => context.emit({ kind: 'progress', stage: 'edit', done, total, unit: 'batches' }),
  });
  const editSeconds = (performance.now() - start) / 1000;
  close();
  const modules = new Map([...shift].map(([name, resident]) => [name, lazyDownload(model.runtime, resident)]));
  const edited = new Map(
    editable.layers.map((layer) => [
      model.entry(`${layer.name}.weight`).name,
      editedWeight(model, layer, modules.get(layer.name)!),
    ]),
  );
  const stored = [...edited].map(([name, values]) => ({ values, dtype: model.folder.tensors.get(name)!.dtype }));
  const rounding = await roundingOf(stored, modules.values());
  const before = await askBefore(subject, editable, tokenized, { ...options, ...plan }, context);
  const { leftOut } = await saveEditedModel({
    base: model.folder,
    out: options.out,
    force: options.force,
    edited,
    alongside: (folder) =>
      saveShift(join(folder, 'shift.safetensors'), { baseHash: hash, editor: editor.name, modules }),
  });
  const layers = await layerNorms(editable, modules);
  model.runtime.release(...shift.values());
  return { editor: editor.name, baseHash: hash, before, layers, editSeconds, leftOut, rounding };
}

/** Says what the edit learns from beside the prompts, since scores on rephrasings depend on it. */
function noteWordings(records: readonly TokenizedRecord[], rounds: number, { emit }: CommandContext): void {
  const told = records.filter(({ wordings = [] }) => wordings.length > 0).length;
  if (told === 0) return;
  const most = Math.max(...records.map(({ wordings = [] }) => wordings.length));
  const asked = `${told} of ${records.length} facts have other wordings (at most ${most})`;
  const use = rounds > 1 ? 'the rounds of the edit ask them in turn' : 'not used: this edit makes one round';
  emit({ kind: 'note', text: `${asked}: ${use}` });
}

async function askBefore(
  subject: Subject,
  editable: EditableModel,
  records: readonly TokenizedRecord[],
  options: EditOptions,
  context: CommandContext,
): Promise<Before> {
  const predictions = await ask(editable, records, options, 'ask before', context);
  const stage = { batch: options.batch, stage: 'generate before', first: options.generateFacts };
  const { tokenizer } = subject;
  const generations =
    options.generate && writes(subject.model.definition)
      ? await generateAnswers(editable, editable.base, tokenizer, records, stage, context)
      : undefined;
  const neutral = await neutralRecords(
    subject,
    records.map(({ record }) => record),
  );
  const asked = { editable, weights: editable.base, tokenizer };
  const answers = await askNeutral(asked, neutral, { ...options, when: 'before' }, context);
  return { records, predictions, generations, neutral: { records: neutral, answers } };
}

async function ask(
  editable: EditableModel,
  records: readonly TokenizedRecord[],
  { batch }: EditOptions,
  stage: string,
  { emit, signal }: CommandContext,
): Promise<AnswerPrediction[]> {
  const onProgress = (done: number, total: number) => emit({ kind: 'progress', stage, done, total, unit: 'prompts' });
  const found = await predictPairs(editable, [editable.base], evaluatedPairs(records), { batch, signal, onProgress });
  return found.map(([prediction]) => prediction!);
}

/** Opens what was written, as anybody would, and asks it everything. */
async function verify(
  { records, predictions, generations, neutral }: Before,
  options: EditOptions,
  context: CommandContext,
): Promise<{ reports: FactReport[]; neutral: NeutralScores | undefined; hash: string }> {
  const weights = options.weights && join(options.out, basename(options.weights));
  return withSubject({ ...options, model: options.out, weights }, context, async ({ model, tokenizer, hash }) => {
    const job = { task: 'eval', model, layers: [], pairs: evaluatedPairs(records), tokens: 'answers' } as const;
    const plan = planRun(options, jobsOf(job), context);
    const editable = await model.editing([], plan.schedule);
    const after = await ask(editable, records, { ...options, ...plan }, 'ask after', context);
    const rows = factRows(
      records,
      predictions.map((before, at) => [before, after[at]!]),
    );
    const asked = { editable, weights: editable.base, tokenizer };
    const stays = await askNeutral(asked, neutral.records, { ...options, ...plan, when: 'after' }, context);
    const compared = compareNeutral(neutral.answers, stays);
    if (!generations) return { reports: factReports(records, rows), neutral: compared, hash };
    const stage = { batch: plan.batch, stage: 'generate after', first: options.generateFacts };
    const spoken = await generateAnswers(editable, editable.base, tokenizer, records, stage, context);
    return { reports: factReports(records, rows, { before: generations, after: spoken }), neutral: compared, hash };
  });
}

function summary(
  options: EditOptions,
  { editor, layers, editSeconds, leftOut, rounding }: Edited,
  reports: readonly FactReport[],
  neutral: NeutralScores | undefined,
): EditResult {
  const exact = exactMatch(reports);
  return {
    out: options.out,
    editor,
    facts: reports.length,
    took: reports.filter(({ took }) => took).length,
    failedIds: reports.filter(({ took }) => !took).map(({ id }) => id),
    scores: summarize(reports),
    ...(exact ? { exactMatch: exact } : {}),
    ...present('neutral', neutral),
    layers,
    editSeconds,
    secondsPerFact: editSeconds / reports.length,
    verified: 'the saved checkpoint, opened again from disk',
    leftOut,
    ...(rounding ? { rounding } : {}),
  };
}

/** Failures shown on the terminal; all of them are in facts.jsonl. */
const shownFailures = 20;

function tell(result: EditResult, reports: readonly FactReport[], { emit }: CommandContext): void {
  for (const name of result.leftOut) {
    emit({ kind: 'warning', text: `${name} was not copied: it would still hold the unedited weights` });
  }
  emit(
    scoreTable(
      `${result.facts} facts edited by ${result.editor}, asked of the saved checkpoint`,
      result.scores,
      result.exactMatch,
      result.neutral,
    ),
  );
  if (result.rounding) emit({ kind: 'note', text: roundingText(result.rounding) });
  const failed = reports.filter(({ took }) => !took);
  if (failed.length > 0) {
    const rows = failed
      .slice(0, shownFailures)
      .map((row) => [row.id, row.prompt, row.answer, row.generated?.after ?? null, row.after.es]);
    const title = `${failed.length} of ${reports.length} facts did not take${failed.length > shownFailures ? ` (first ${shownFailures}; all in facts.jsonl)` : ''}`;
    emit({ kind: 'table', title, columns: ['id', 'prompt', 'wanted', 'generated', 'ES'], rows });
  }
  emit({ kind: 'note', text: `saved ${result.out}: model, shift.safetensors, facts.jsonl, edit.json` });
  emit({ kind: 'note', text: `report: ${reportPath(result.out)} (open it in a browser)` });
}

function roundingText({ dtypes, shareOfShift }: Rounding): string {
  const lost = `${(100 * shareOfShift).toPrecision(2)} %`;
  return `the edited weights are saved as ${dtypes.join(', ')}, like the base model's: rounding changes them by ${lost} of the shift; shift.safetensors holds it unrounded`;
}
