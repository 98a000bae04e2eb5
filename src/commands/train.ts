// `malmen train`: trains the hyper-networks of MALMEN or MEND for one language model.

import type { EditRecord } from '../data/record.js';
import { readRecords } from '../data/spec.js';
import { splitIntoBatches } from '../data/split-batches.js';
import type { TokenizedRecord } from '../data/tokenized-record.js';
import type { TokenPair } from '../data/tuple.js';
import { type EditorDescription, metaMethod, networkShape, saveEditor } from '../editors/editor-folder.js';
import { HyperEditor } from '../editors/hyper-editor.js';
import { initialParameters } from '../editors/hyper-network.js';
import { preservingBases } from '../editors/preserved-keys.js';
import { ResidentNetwork } from '../editors/resident-network.js';
import { RunningMoments } from '../editors/running-moments.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import { lazyDownload } from '../engine/runtime.js';
import type { Schedule } from '../engine/schedule.js';
import { MalmenError } from '../errors.js';
import { type EditScores, scoreEdit } from '../eval/score-edit.js';
import type { TensorOf } from '../tensor.js';
import { EpisodeSampler } from '../train/episode.js';
import type { MetaBatches } from '../train/meta-step.js';
import { MetaTrainer } from '../train/meta-trainer.js';
import { RunFolder, type RunState } from '../train/run-folder.js';
import { Random } from '../util/random.js';
import type { CommandContext } from './events.js';
import { planRun, withMemoryReport } from './memory-limit.js';
import type { TrainOptions } from './options.js';
import { startState } from './start-state.js';
import { noteRules, type Subject, tokenizeFor, withSubject } from './subject.js';
import { tokensOf, trainingJobs } from './training-jobs.js';

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
  readonly options: TrainOptions;
  readonly context: CommandContext;
}

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
  const tokenized = await tokenizeFor(subject, records);
  noteRules(records, context);
  const plan = planRun(asked, trainingJobs(subject, tokenized, asked), context);
  const options = { ...asked, batch: plan.batch };
  if (!tokenized.some(({ unrelated }) => unrelated.length > 0)) {
    context.emit({
      kind: 'warning',
      text: `${options.data}: no record has an unrelated prompt: nothing will hold other facts in place`,
    });
  }
  const sampler = new EpisodeSampler(tokenized, options);
  const training = await openTraining(subject, tokenized, { options, schedule: plan.schedule }, context);
  const finished = await training.run.finished<TrainResult>();
  if (finished && training.trainer.step >= options.steps) {
    context.emit({ kind: 'note', text: `${options.out}: already trained for ${training.trainer.step} steps` });
    return finished;
  }
  const recent = await trainAll(training, sampler);
  await saveEditor(options.out, describe(training), training.editable, training.editor);
  const validation = watched && (await validate(training, await tokenizeFor(subject, watched)));
  const result = summary(training, recent, validation);
  await training.run.finish(result);
  return result;
}

async function openTraining(
  subject: Subject,
  records: readonly TokenizedRecord[],
  { options, schedule }: { readonly options: TrainOptions; readonly schedule: Schedule },
  context: CommandContext,
): Promise<Training> {
  const layers = subject.model.layers(options.layers);
  const settings = { ...resultSettings(options), base: subject.hash, layers: layers.map(({ name }) => name) };
  const { run, state: saved } = await RunFolder.open(options.out, {
    settingsFile: 'train.json',
    settings,
    resume: options.resume,
    force: options.force,
  });
  const editable = await subject.model.editing(layers, schedule);
  const state = saved ?? (await openStart(subject, options));
  const whitenings = await preservedBases(editable, records, options, context);
  const editor = await openEditor(editable, options, state, whitenings);
  const { metaRate, maxGradientNorm, localityWeight } = options;
  const start = state && { step: state.step, optimizer: state.tensors };
  const trainer = await MetaTrainer.open(editable, editor, { metaRate, maxGradientNorm, localityWeight }, start);
  if (state) context.emit({ kind: 'note', text: `continuing after step ${state.step}` });
  return { subject, editable, editor, trainer, run, options, context };
}

async function openStart(subject: Subject, options: TrainOptions): Promise<RunState | undefined> {
  if (options.from === undefined) return undefined;
  const layers = subject.model.layers(options.layers).map(({ name }) => name);
  return startState(options.from, subject, layers, options);
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
    batch,
    hyperBatch,
    checkpointEvery,
    validation,
    steps,
    ...settings
  } = options;
  return settings;
}

/**
 * Prompts whose keys are kept in place for each number that a key holds: with few samples for its size a covariance looks
 * far too small in some directions, and edits would go just there (at 1.7 rows, 1,000 facts left .36 of others unchanged).
 */
const preservedPerKeySize = 3;

/** Bases that keep the training facts' own answers in place: their prompts under their true answers. */
async function preservedBases(
  editable: EditableModel,
  records: readonly TokenizedRecord[],
  { preserve, seed, batch: batchSize, editor }: TrainOptions,
  { emit }: CommandContext,
): Promise<LayerTensors> {
  if (preserve === 0 || !metaMethod(editor, false).hasLambda) return new Map();
  const random = Random.stream(seed, 'preserved');
  const largestKey = Math.max(...editable.layers.map(({ keySize }) => keySize));
  const pairs = random.shuffle(records.flatMap(knownPairs)).slice(0, preservedPerKeySize * largestKey);
  if (pairs.length === 0) {
    throw new MalmenError(
      'bad-input',
      '--preserve needs records that say what is true before the edit (`was`); this data has none',
    );
  }
  const { kind } = editable.model.definition;
  const batches = splitIntoBatches(pairs, { kind, batchSize, sortByLength: true }).map(({ batch }) => batch);
  const onBatch = (done: number) =>
    emit({ kind: 'progress', stage: 'preserve', done, total: batches.length, unit: 'batches' });
  return preservingBases(editable, batches, preserve, onBatch);
}

const knownPairs = ({ edit, rephrasings, was }: TokenizedRecord): TokenPair[] =>
  was ? [edit, ...rephrasings].map(({ prompt }) => ({ prompt, answer: was })) : [];

async function openEditor(
  editable: EditableModel,
  options: TrainOptions,
  state: RunState | undefined,
  whitenings: LayerTensors,
): Promise<HyperEditor> {
  const method = metaMethod(options.editor, options.damped);
  const random = Random.stream(options.seed, 'hyper-network');
  const networks: ResidentNetwork[] = [];
  for (const [at, group] of editable.groups.entries()) {
    const shape = networkShape(group, options);
    const start = { learningRate: options.initialRate, logLambda: options.initialLogLambda };
    const tensors = state
      ? await readPrefixed(state.tensors, `network.${at}.`)
      : initialParameters(shape, start, random);
    const moments = state ? restoreMoments(state, at) : new RunningMoments(shape.keySize + shape.valueSize);
    networks.push(
      await ResidentNetwork.open(editable.runtime, method, tensors, { shape, moments, rowLimit: options.hyperBatch }),
    );
  }
  return new HyperEditor(method, tokensOf(options), networks, whitenings);
}

async function readPrefixed(tensors: RunState['tensors'], prefix: string): Promise<Map<string, TensorOf<'f32'>>> {
  const own = new Map<string, TensorOf<'f32'>>();
  for (const [name, tensor] of tensors) {
    if (name.startsWith(prefix)) own.set(name.slice(prefix.length), await tensor.read());
  }
  return own;
}

function restoreMoments({ doubles }: RunState, at: number): RunningMoments {
  const read = (name: string) => doubles!.get(`moments.${at}.${name}`)!;
  return RunningMoments.from({ count: read('count')[0]!, mean: read('mean'), squares: read('squares') });
}

async function saveState({ editor, editable, trainer, run }: Training): Promise<void> {
  const tensors = trainer.optimizerTensors();
  const doubles = new Map<string, Float64Array>();
  for (const [at, { parameters, moments }] of editor.networks.entries()) {
    for (const [name, resident] of parameters)
      tensors.set(`network.${at}.${name}`, lazyDownload(editable.runtime, resident));
    doubles.set(`moments.${at}.count`, Float64Array.of(moments.count));
    doubles.set(`moments.${at}.mean`, moments.mean);
    doubles.set(`moments.${at}.squares`, moments.squares);
  }
  await run.save({ step: trainer.step, tensors, doubles });
}

interface StepRecord {
  readonly generalisationLoss: number;
  readonly localityLoss: number;
  readonly seconds: number;
}

async function trainAll(training: Training, sampler: EpisodeSampler): Promise<readonly StepRecord[]> {
  const { trainer, run, options, context } = training;
  const recent: StepRecord[] = [];
  while (trainer.step < options.steps) {
    const done = await trainStep(training, batchesOf(sampler, training));
    recent.push(done);
    if (recent.length > 10) recent.shift();
    const values = {
      gen: mean(recent.map((step) => step.generalisationLoss)),
      loc: mean(recent.map((step) => step.localityLoss)),
    };
    context.emit({ kind: 'progress', stage: 'train', done: trainer.step, total: options.steps, unit: 'steps', values });
    await run.log({ step: trainer.step, ...done });
    const stop = context.signal.aborted;
    const last = trainer.step === options.steps;
    if (stop || last || trainer.step % options.checkpointEvery === 0) await saveState(training);
    if (stop && !last) {
      throw new MalmenError(
        'interrupted',
        `stopped after step ${trainer.step} of ${options.steps}; run again with --resume to continue`,
      );
    }
  }
  return recent;
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
    format: 'malmen-editor-1',
    method: options.editor,
    base: { hash: subject.hash, modelType: subject.model.definition.modelType, path: subject.name },
    layers: editable.layers.map(({ name }) => name),
    tokens: editor.tokens,
    rank: options.rank,
    blocks: options.blocks,
    steps: trainer.step,
    rounds: options.rounds,
    lambdaScale: options.lambdaScale,
    damped: options.damped,
    preserves: editor.whitenings.size > 0,
    training: resultSettings(options),
  };
}

async function validate(
  { editable, editor, options, context }: Training,
  records: readonly TokenizedRecord[],
): Promise<EditScores> {
  const { scores } = await scoreEdit(editable, editor, records, {
    batch: options.batch,
    signal: context.signal,
    rounds: options.rounds,
    lambdaScale: options.lambdaScale,
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
