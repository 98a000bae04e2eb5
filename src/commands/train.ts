// `malmen train`: trains the hyper-networks of MALMEN or MEND for one language model.

import type { EditRecord } from '../data/record.js';
import { readRecords } from '../data/spec.js';
import { splitIntoBatches } from '../data/split-batches.js';
import type { TokenizedRecord } from '../data/tokenized-record.js';
import type { TokenPair } from '../data/tuple.js';
import {
  type EditorDescription,
  editorFormat,
  metaMethod,
  networkShape,
  saveEditor,
} from '../editors/editor-folder.js';
import { HyperEditor } from '../editors/hyper-editor.js';
import { initialParameters, statisticsCount } from '../editors/hyper-network.js';
import type { PreservedByLayer } from '../editors/preserved-keys.js';
import { emptyMoments, ResidentNetwork } from '../editors/resident-network.js';
import type { EditableModel } from '../engine/editable-model.js';
import { MalmenError } from '../errors.js';
import { type EditScores, scoreEdit } from '../eval/score-edit.js';
import { EpisodeSampler } from '../train/episode.js';
import type { MetaBatches } from '../train/meta-step.js';
import { MetaTrainer } from '../train/meta-trainer.js';
import { RunFolder, type RunState } from '../train/run-folder.js';
import { Random } from '../util/random.js';
import { type ActivationCache, openActivationCache } from './activation-cache.js';
import { answersEnd, endedWhere, tokenizeToEdit } from './answer-ends.js';
import type { CommandContext } from './events.js';
import { planRun, type RunPlan, withMemoryReport } from './memory-limit.js';
import type { TrainOptions } from './options.js';
import { preservedWordings, readPreserved, type Wording } from './preserved-moments.js';
import { startState } from './start-state.js';
import { noteRules, type Subject, tokenizeFor, withSubject } from './subject.js';
import { tokensOf, trainingJobs } from './training-jobs.js';
import { savedMoments, savedParameters, trainingState } from './training-state.js';

/** How the training of an editor ended. */
export interface TrainResult {
  readonly out: string;
  readonly editor: string;
  readonly layers: readonly string[];
  readonly steps: number;
  /** Means of the last ten steps. */
  readonly generalisationLoss: number;
  readonly localityLoss: number;
  readonly secondsPerStep: number;
  readonly validation?: EditScores;
}

/** A training in progress. */
interface Training {
  readonly subject: Subject;
  readonly editable: EditableModel;
  readonly editor: HyperEditor;
  readonly trainer: MetaTrainer;
  readonly run: RunFolder;
  readonly cache: ActivationCache;
  readonly options: TrainingOptions;
  readonly context: CommandContext;
}

/** With what the model decides where nothing was asked for. */
type TrainingOptions = TrainOptions & { readonly ends: boolean };

/** `malmen train`: learns to edit; can be interrupted and resumed. @throws MalmenError `interrupted` after saving what can be resumed */
export async function train(options: TrainOptions, context: CommandContext): Promise<TrainResult> {
  const records = await readRecords(options.data);
  const watched = options.validation === undefined ? undefined : await readRecords(options.validation);
  const run = () =>
    withSubject(options, context, (subject) => trainOn(subject, { records, watched }, options, context));
  return withMemoryReport(options.memory, context, run);
}

/** Facts to learn on, and facts to watch. */
interface TrainingData {
  readonly records: readonly EditRecord[];
  readonly watched: readonly EditRecord[] | undefined;
}

async function trainOn(
  subject: Subject,
  { records, watched }: TrainingData,
  asked: TrainOptions,
  context: CommandContext,
): Promise<TrainResult> {
  const ends = answersEnd(subject, asked.ends);
  const tokenized = await tokenizeToEdit(subject, records, ends);
  noteRules(records, context);
  const preserved = preservedWordings(tokenized, subject.model.layers(asked.layers), asked, context);
  const facts = { records: tokenized, preserves: preserved.length > 0 };
  const plan = planRun(asked, trainingJobs(subject, facts, asked), context);
  const options = { ...asked, batch: plan.batch, ends };
  if (!tokenized.some(({ unrelated }) => unrelated.length > 0)) {
    context.emit({
      kind: 'warning',
      text: `${options.data}: no record has an unrelated prompt: nothing will hold other facts in place`,
    });
  }
  const sampler = new EpisodeSampler(tokenized, options);
  const { run, state } = await openRun(subject, options);
  const finished = await run.finished<TrainResult>();
  if (finished && state && state.step >= options.steps) {
    context.emit({ kind: 'note', text: `${options.out}: already trained for ${state.step} steps` });
    return finished;
  }
  const training = await openTraining(subject, { tokenized, preserved, run, state }, { options, plan }, context).catch(
    (error) => {
      throw context.signal.aborted ? stopped(state?.step ?? 0, options) : error;
    },
  );
  const recent = await trainAll(training, sampler);
  await training.cache.finish(training.editable.cache);
  await saveEditor(options.out, describe(training), training.editable, training.editor);
  const validation = watched && (await validate(training, await tokenizeFor(subject, watched)));
  const result = summary(training, recent, validation);
  await training.run.finish(result);
  return result;
}

/** The run's folder, and what an earlier run has left in it. */
function openRun({ model, hash }: Subject, options: TrainOptions) {
  const layers = model.layers(options.layers).map(({ name }) => name);
  // With the editor's format: a training that another version finished made a folder that this one cannot open.
  const settings = { ...resultSettings(options), format: editorFormat, base: hash, layers };
  const { out, resume, force } = options;
  return RunFolder.open(out, { settingsFile: 'train.json', settings, resume, force });
}

interface OpenedRun {
  readonly tokenized: readonly TokenizedRecord[];
  /** Prompts whose answers are kept in place. */
  readonly preserved: readonly Wording[];
  readonly run: RunFolder;
  readonly state: RunState | undefined;
}

async function openTraining(
  subject: Subject,
  { tokenized, preserved, run, state: saved }: OpenedRun,
  { options, plan }: { readonly options: TrainingOptions; readonly plan: RunPlan },
  context: CommandContext,
): Promise<Training> {
  const cache = await openActivationCache(subject, tokenized, { options, schedule: plan.schedule }, context);
  const editable = await subject.model.editing(subject.model.layers(options.layers), plan, cache.records);
  const state = saved ?? (await openStart(subject, options));
  const kept = await readPreserved(editable, preserved, options, context);
  context.signal.throwIfAborted();
  const editor = await openEditor(editable, options, state, kept);
  const { metaRate, maxGradientNorm, localityWeight } = options;
  const start = state && { step: state.step, optimizer: state.tensors };
  const trainer = await MetaTrainer.open(editable, editor, { metaRate, maxGradientNorm, localityWeight }, start);
  if (state) context.emit({ kind: 'note', text: `continuing after step ${state.step}` });
  return { subject, editable, editor, trainer, run, cache, options, context };
}

async function openStart(subject: Subject, options: TrainOptions): Promise<RunState | undefined> {
  if (options.from === undefined) return undefined;
  const layers = subject.model.layers(options.layers).map(({ name }) => name);
  return startState(options.from, subject, layers, options);
}

/** MEND's change is one gradient step, made once. */
function editRounds({ rounds, editor }: TrainOptions): number {
  return rounds ?? (editor === 'mend' ? 1 : 8);
}

/** Every option that changes the editor that comes out. Paths and batch sizes do not. */
function resultSettings(options: TrainOptions): Record<string, unknown> {
  const {
    model,
    weights,
    out,
    force,
    resume,
    threads,
    memory,
    cache,
    keepCache,
    batch,
    hyperBatch,
    checkpointEvery,
    validation,
    steps,
    ...settings
  } = options;
  return settings;
}

async function openEditor(
  editable: EditableModel,
  options: TrainOptions,
  state: RunState | undefined,
  kept: PreservedByLayer,
): Promise<HyperEditor> {
  const method = metaMethod(options.editor, options.damped);
  const random = Random.stream(options.seed, 'hyper-network');
  const networks: ResidentNetwork[] = [];
  for (const [at, group] of editable.groups.entries()) {
    const shape = networkShape(group, options);
    const start = { learningRate: options.initialRate, logLambda: options.initialLogLambda };
    const tensors = state ? await savedParameters(state, at) : initialParameters(shape, start, random);
    const moments = state ? savedMoments(state, at, statisticsCount(shape)) : emptyMoments(shape);
    networks.push(
      await ResidentNetwork.open(editable.runtime, method, tensors, { shape, moments, rowLimit: options.hyperBatch }),
    );
  }
  return new HyperEditor(method, tokensOf(options), networks, kept);
}

interface StepRecord {
  readonly generalisationLoss: number;
  readonly localityLoss: number;
  readonly seconds: number;
}

async function trainAll(training: Training, sampler: EpisodeSampler): Promise<readonly StepRecord[]> {
  const { trainer, run, options, context } = training;
  const recent: StepRecord[] = [];
  if (trainer.step < options.steps) tellProgress(training, {});
  while (trainer.step < options.steps) {
    const done = await trainStep(training, batchesOf(sampler, training));
    if (trainer.step === 1) warnOfRate(done, training);
    recent.push(done);
    if (recent.length > 10) recent.shift();
    tellProgress(training, {
      'edit loss': mean(recent.map((step) => step.generalisationLoss)),
      'locality loss': mean(recent.map((step) => step.localityLoss)),
    });
    await run.log({ step: trainer.step, ...done });
    const stop = context.signal.aborted;
    const last = trainer.step === options.steps;
    if (stop || last || trainer.step % options.checkpointEvery === 0)
      await run.save(trainingState(training.editable.runtime, trainer, training.editor));
    if (stop && !last) throw stopped(trainer.step, options);
  }
  return recent;
}

/** Nats: trainings that went well began below 1, one that never came down began at 9 (docs/log.md). */
const highLocalityLoss = 3;

function warnOfRate({ localityLoss }: StepRecord, { options, context }: Training): void {
  if (localityLoss <= highLocalityLoss) return;
  const damage = `the first step's edits changed most of what must stay (locality loss ${localityLoss.toPrecision(2)}; below 1 is a good start)`;
  context.emit({ kind: 'warning', text: `${damage}: --initial-rate ${options.initialRate} is probably too high` });
}

function tellProgress({ trainer, options, context }: Training, values: Readonly<Record<string, number>>): void {
  const { steps: total } = options;
  context.emit({ kind: 'progress', stage: 'train', done: trainer.step, total, unit: 'steps', values });
}

function stopped(step: number, { steps }: TrainOptions): MalmenError {
  return new MalmenError('interrupted', `stopped after step ${step} of ${steps}; run again with --resume to continue`);
}

async function trainStep({ trainer, options }: Training, batches: MetaBatches): Promise<StepRecord> {
  const start = performance.now();
  const { generalisationLosses, localityLosses } = await trainer.train(batches, roundOf(trainer.step, options));
  const generalisationLoss = sum(generalisationLosses);
  const localityLoss = sum(localityLosses);
  if (!Number.isFinite(generalisationLoss + localityLoss)) {
    throw new MalmenError(
      'bad-input',
      `train: the loss became ${generalisationLoss} at step ${trainer.step}; lower --initial-rate or --meta-rate`,
    );
  }
  return { generalisationLoss, localityLoss, seconds: (performance.now() - start) / 1000 };
}

/** Which round of an edit a step learns: the first for a while, then all in turn. */
function roundOf(step: number, { learntRounds, roundsFrom }: TrainOptions): number {
  return step < roundsFrom ? 1 : 1 + (step % learntRounds);
}

function batchesOf(sampler: EpisodeSampler, { editable, trainer, options }: Training): MetaBatches {
  const { edits, rephrasings, unrelated } = sampler.draw(trainer.step);
  const splitting = { kind: editable.model.definition.kind, batchSize: options.batch, sortByLength: true };
  const split = (pairs: readonly TokenPair[]) => splitIntoBatches(pairs, splitting).map(({ batch }) => batch);
  return { edits: split(edits), rephrasings: split(rephrasings), unrelated: split(unrelated) };
}

function describe({ subject, editable, editor, trainer, options }: Training): EditorDescription {
  return {
    format: editorFormat,
    method: options.editor,
    base: { hash: subject.hash, modelType: subject.model.definition.modelType, path: subject.name },
    layers: editable.layers.map(({ name }) => name),
    tokens: editor.tokens,
    rank: options.rank,
    blocks: options.blocks,
    steps: trainer.step,
    rounds: editRounds(options),
    lambdaScale: options.lambdaScale,
    damped: editor.method.damped,
    statistics: options.statistics,
    ends: options.ends,
    preserves: editor.preserved.size > 0,
    training: resultSettings(options),
  };
}

async function validate(
  { subject, editable, editor, options, context }: Training,
  records: readonly TokenizedRecord[],
): Promise<EditScores> {
  const { scores } = await scoreEdit(editable, editor, records, {
    batch: options.batch,
    signal: context.signal,
    rounds: editRounds(options),
    lambdaScale: options.lambdaScale,
    told: endedWhere(subject, records, options.ends),
  });
  return scores;
}

function summary(
  { editable, editor, trainer, options }: Training,
  recent: readonly StepRecord[],
  validation: EditScores | undefined,
): TrainResult {
  return {
    out: options.out,
    editor: editor.name,
    layers: editable.layers.map(({ name }) => name),
    steps: trainer.step,
    generalisationLoss: mean(recent.map((step) => step.generalisationLoss)),
    localityLoss: mean(recent.map((step) => step.localityLoss)),
    secondsPerStep: mean(recent.map((step) => step.seconds)),
    ...(validation ? { validation } : {}),
  };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const mean = (values: readonly number[]) => sum(values) / Math.max(1, values.length);
