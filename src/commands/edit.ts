// `malmen edit`: edits a model, saves it, opens what it saved and asks that.

import { basename, join } from 'node:path';
import { assertOutsideBase, writeEditedModel } from '../checkpoint/save-model.js';
import { saveShift } from '../checkpoint/shift-file.js';
import { askedInRound } from '../data/asked-in-round.js';
import type { EditRecord } from '../data/record.js';
import { readRecords } from '../data/spec.js';
import type { TokenizedRecord } from '../data/tokenized-record.js';
import { readEditorDescription } from '../editors/editor-folder.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import { editedWeight } from '../engine/edited-weight.js';
import { lazyDownload } from '../engine/runtime.js';
import { evaluatedPairs, factRows } from '../eval/evaluate.js';
import { type FactReport, factReports, writeFactReports } from '../eval/fact-report.js';
import type { AnswerPrediction } from '../eval/metrics.js';
import { predictPairs } from '../eval/predict.js';
import { refuseFilledFolder, writeFileAtomic, writeFolderAtomic } from '../util/atomic-file.js';
import { present } from '../util/present.js';
import { answersEnd, endedWhere } from './answer-ends.js';
import { type Eased, easeShift } from './ease-shift.js';
import { type EditHashes, writeEditReport } from './edit-report.js';
import { type EditAsked, type EditMade, type EditResult, editResult, tellEdit } from './edit-result.js';
import type { CommandContext } from './events.js';
import { generateAnswers, writes } from './generations.js';
import { assertKeeps, keptInRound, keptPrompts } from './kept-prompts.js';
import { layerNorms } from './layer-norms.js';
import { answeredByModel } from './made-up-subjects.js';
import { jobsOf } from './memory-job.js';
import { planRun, withMemoryReport } from './memory-limit.js';
import { withBorrowedWordings } from './more-wordings.js';
import { askNeutral, compareNeutral, type NeutralAnswers, neutralRecords } from './neutral.js';
import { openEditor } from './open-editor.js';
import type { EditOptions } from './options.js';
import { roundingOf } from './rounding.js';
import { noteRules, type Subject, tokenizeFor, withSubject } from './subject.js';

/** What the base model said, before it is closed. */
interface Before {
  readonly records: readonly TokenizedRecord[];
  readonly predictions: readonly AnswerPrediction[];
  readonly generations: readonly string[] | undefined;
  readonly neutral: { readonly records: readonly TokenizedRecord[]; readonly answers: NeutralAnswers };
}

interface Edited extends EditMade {
  /** Content hash of the base model. */
  readonly baseHash: string;
  readonly before: Before;
}

interface Verified extends EditAsked {
  /** Content hash of the saved checkpoint. */
  readonly hash: string;
}

/**
 * `malmen edit`: writes a checkpoint, then opens and asks it. The folder appears under its name when it is whole, reports included.
 * @throws MalmenError for bad records, another base model, a filled output folder
 */
export async function edit(options: EditOptions, context: CommandContext): Promise<EditResult> {
  await refuseFilledFolder(options.out, options.force);
  const records = await readRecords(options.records);
  const { result, reports } = await writeFolderAtomic(options.out, options.force, async (folder) => {
    const { edited, asked } = await withMemoryReport(options.memory, context, async () => {
      const done = await withSubject(options, context, (subject) =>
        editAndSave(subject, records, folder, options, context),
      );
      return { edited: done, asked: await verify(done.before, folder, options, context) };
    });
    const found = editResult(options.out, edited, asked);
    const hashes = { base: edited.baseHash, edited: asked.hash };
    await writeReports(folder, found, { reports: asked.reports, hashes }, options);
    return { result: found, reports: asked.reports };
  });
  tellEdit(result, reports, context);
  return result;
}

/** All that an edit's folder holds beside the checkpoint. */
async function writeReports(
  folder: string,
  result: EditResult,
  { reports, hashes }: { readonly reports: readonly FactReport[]; readonly hashes: EditHashes },
  options: EditOptions,
): Promise<void> {
  await writeFactReports(join(folder, 'facts.jsonl'), reports);
  await writeFileAtomic(join(folder, 'edit.json'), `${JSON.stringify({ ...result, options }, null, 2)}\n`);
  await writeEditReport(folder, options, { result, reports, hashes });
}

async function editAndSave(
  subject: Subject,
  records: readonly EditRecord[],
  folder: string,
  options: EditOptions,
  context: CommandContext,
): Promise<Edited> {
  const { model, hash } = subject;
  await assertOutsideBase(model.folder, options.out);
  const facts = options.keep === undefined ? [] : await readRecords(options.keep);
  const tokenized = await tokenizeFor(subject, await withBorrowedWordings(subject, records, facts, options));
  noteRules(records, context);
  const description = options.editor === 'ft' ? undefined : await readEditorDescription(options.editor);
  const ends = description?.ends ?? answersEnd(subject, undefined);
  const told = endedWhere(subject, tokenized, ends);
  const { known, madeUp } = await keptPrompts(subject, told, { ...options, facts, ends });
  const opened = await openEditor(
    subject,
    { records: told, kept: [...madeUp, ...known], folder },
    description,
    options,
    context,
  );
  const { editable, editor, rounds, lambdaScale, plan, spoolTo, forget, close } = opened;
  assertKeeps(options, opened);
  const kept = [...known, ...(await answeredByModel(subject, editable, madeUp, { ...plan, ends }, context))];
  if (madeUp.length > 0) forget();
  noteWordings(tokenized, rounds, context);
  await model.runtime.trim();
  const start = performance.now();
  const inRound = askedInRound(told, { kind: model.definition.kind, batchSize: plan.batch, rounds });
  const whole = await editor.computeShift(editable, inRound(rounds - 1), {
    signal: context.signal,
    rounds,
    lambdaScale,
    ...present('hold', options.hold),
    ...present('spoolTo', spoolTo),
    inRound,
    kept: keptInRound(subject, kept, { ...options, ...plan }),
    onProgress: (progress) => context.emit({ kind: 'progress', stage: 'edit', ...progress, unit: 'batches' }),
    onSolve: (progress) => context.emit({ kind: 'progress', stage: 'solve', ...progress, unit: 'chunks of rows' }),
  });
  close();
  await model.runtime.trim();
  const { shift, eased } = await easeWhere(editable, whole, told, { ...options, ...plan }, context);
  const editSeconds = (performance.now() - start) / 1000;
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
  const leftOut = await writeEditedModel(folder, { base: model.folder, edited });
  await saveShift(join(folder, 'shift.safetensors'), { baseHash: hash, editor: editor.name, modules });
  const layers = await layerNorms(editable, modules);
  model.runtime.release(...shift.values());
  return { editor: editor.name, baseHash: hash, before, layers, editSeconds, eased, leftOut, rounding };
}

/** The shift as it is unless `--ease` allows a loss; takes the shift over. */
async function easeWhere(
  editable: EditableModel,
  whole: LayerTensors,
  facts: readonly TokenizedRecord[],
  options: Pick<EditOptions, 'ease' | 'batch'>,
  context: CommandContext,
): Promise<{ shift: LayerTensors; eased: Eased | undefined }> {
  if (options.ease === 0) return { shift: whole, eased: undefined };
  const found = await easeShift(editable, whole, facts, options, context);
  editable.runtime.release(...whole.values());
  return found;
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
  folder: string,
  options: EditOptions,
  context: CommandContext,
): Promise<Verified> {
  const weights = options.weights && join(folder, basename(options.weights));
  return withSubject({ ...options, model: folder, weights }, context, async ({ model, tokenizer, hash }) => {
    const job = { task: 'eval', model, layers: [], pairs: evaluatedPairs(records), tokens: 'answers' } as const;
    const plan = planRun(options, jobsOf(job), context);
    const editable = await model.editing([], plan);
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
