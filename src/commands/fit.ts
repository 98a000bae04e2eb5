// `malmen fit`: teaches a language model facts, from fresh weights or from a checkpoint.

import { saveNewModel } from '../checkpoint/save-model.js';
import { type Example, truthExamples } from '../data/record.js';
import { readRecords } from '../data/spec.js';
import { makeBatch } from '../data/split-batches.js';
import { assertFitsContext, type TokenPair, tokenizeExamples } from '../data/tuple.js';
import { LanguageModel } from '../engine/language-model.js';
import { openRuntime } from '../engine/open-runtime.js';
import { MalmenError } from '../errors.js';
import { success } from '../eval/metrics.js';
import { predictPairs } from '../eval/predict.js';
import { initialWeights, LmTrainer, learningRateAt } from '../train/lm-trainer.js';
import { RunFolder, readAll } from '../train/run-folder.js';
import type { ModelKind } from '../util/model-kind.js';
import { Random } from '../util/random.js';
import type { CommandContext } from './events.js';
import { type FitSource, openFitSource } from './fit-source.js';
import type { FitOptions } from './options.js';

/** What a fitted language model knows. */
export interface FitResult {
  readonly out: string;
  readonly facts: number;
  readonly prompts: number;
  readonly steps: number;
  readonly parameters: number;
  /** Mean loss of the last hundred steps. */
  readonly loss: number;
  /** Share of prompts whose whole answer is the most likely one, token by token: what greedy decoding gives. */
  readonly exactMatch: number;
  readonly seconds: number;
}

/** `malmen fit`: trains a language model on facts, from nothing or from a checkpoint; can be interrupted and resumed. */
export async function fit(options: FitOptions, context: CommandContext): Promise<FitResult> {
  const start = performance.now();
  const records = await readRecords(options.data);
  const examples = uniqueExamples(records.flatMap(truthExamples));
  const { run, state } = await RunFolder.open(options.out, {
    settingsFile: 'fit.json',
    settings: resultSettings(options),
    resume: options.resume,
    force: options.force,
  });
  const finished = await run.finished<FitResult>();
  if (finished) {
    context.emit({ kind: 'note', text: `${options.out}: already finished` });
    return finished;
  }
  const source = await openFitSource(options, examples, context);
  const pairs = await tokenizeTruths(source, examples);
  const runtime = await openRuntime({
    device: options.device,
    ...(options.threads ? { threads: options.threads } : {}),
  });
  try {
    const tensors =
      (state && (await readAll(state.tensors))) ??
      source.weights ??
      initialWeights(source.definition.parameters, Random.stream(options.seed, 'weights'));
    const trainer = await LmTrainer.open(runtime, source.definition, { step: state?.step ?? 0, tensors });
    if (state) context.emit({ kind: 'note', text: `continuing after step ${state.step}` });
    const loss = await trainAll(trainer, source.definition.kind, pairs, options, run, context);
    const files = new Map([['tokenizer.json', source.tokenizerJson]]);
    const dtype = storedTypes[options.dtype];
    const config = { ...source.config, dtype: options.dtype };
    await saveNewModel(options.out, { config, tensors: await trainer.parameters(), files, dtype });
    await run.removeState();
    const steps = trainer.step;
    await runtime.close();
    const exactMatch = await measure(options, pairs, context);
    const parameters = source.definition.parameters.reduce(
      (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
      0,
    );
    const seconds = (performance.now() - start) / 1000;
    const result = {
      out: options.out,
      facts: records.length,
      prompts: pairs.length,
      steps,
      parameters,
      loss,
      exactMatch,
      seconds,
    };
    await run.finish(result);
    return result;
  } finally {
    await runtime.close();
  }
}

const storedTypes = { float32: 'f32', float16: 'f16', bfloat16: 'bf16' } as const;

/** Every option that changes the weights that come out. */
function resultSettings({
  out: _out,
  force: _force,
  resume: _resume,
  threads: _threads,
  checkpointEvery: _every,
  ...settings
}: FitOptions) {
  return settings;
}

function uniqueExamples(examples: readonly Example[]): Example[] {
  const byPrompt = new Map<string, Example>();
  for (const example of examples) if (!byPrompt.has(example.prompt)) byPrompt.set(example.prompt, example);
  return [...byPrompt.values()];
}

/** Prompts and answers, each answer followed by the end of text, so that generation knows where to stop. */
async function tokenizeTruths(
  { tokenizer, definition }: FitSource,
  examples: readonly Example[],
): Promise<TokenPair[]> {
  const named = examples.map((example) => ({ ...example, recordId: `'${example.prompt}'` }));
  const pairs = await tokenizeExamples(tokenizer, definition.kind, named);
  const end = definition.kind === 'classifier' || tokenizer.endOfText === undefined ? [] : [tokenizer.endOfText];
  return pairs.map(({ prompt, answer }, at) => {
    const pair = { prompt, answer: [...answer, ...end] };
    assertFitsContext(pair, definition, named[at]!.recordId);
    return pair;
  });
}

async function trainAll(
  trainer: LmTrainer,
  kind: ModelKind,
  pairs: readonly TokenPair[],
  options: FitOptions,
  run: RunFolder,
  context: CommandContext,
): Promise<number> {
  const perEpoch = Math.ceil(pairs.length / options.batch);
  const total = perEpoch * options.epochs;
  const recent: number[] = [];
  while (trainer.step < total) {
    const step = trainer.step;
    const order = epochOrder(pairs, Math.floor(step / perEpoch), options);
    const chosen = order[step % perEpoch]!.map((index) => pairs[index]!);
    const learningRate = learningRateAt(step, { peak: options.learningRate, warmup: options.warmup, total });
    const { loss, gradientNorm } = await trainer.train(makeBatch(kind, chosen), {
      learningRate,
      maxGradientNorm: options.maxGradientNorm,
    });
    assertLearning(loss, step);
    recent.push(loss);
    if (recent.length > 100) recent.shift();
    const values = { loss: recent.reduce((sum, value) => sum + value, 0) / recent.length };
    context.emit({ kind: 'progress', stage: 'fit', done: step + 1, total, unit: 'steps', values });
    await run.log({ step: step + 1, loss, gradientNorm, learningRate });
    const stop = context.signal.aborted;
    if (stop || (step + 1) % options.checkpointEvery === 0) await run.save(await trainer.state());
    if (stop)
      throw new MalmenError(
        'interrupted',
        `stopped after step ${step + 1} of ${total}; run again with --resume to continue`,
      );
  }
  return recent.reduce((sum, value) => sum + value, 0) / Math.max(1, recent.length);
}

function assertLearning(loss: number, step: number): void {
  if (Number.isFinite(loss)) return;
  throw new MalmenError(
    'bad-input',
    `fit: the loss became ${loss} at step ${step + 1}; lower --learning-rate or raise --warmup`,
  );
}

/** Steps whose prompts are of like length (little padding), in a fresh order each epoch: a function of seed and epoch alone. */
const epochOrder = cached((pairs: readonly TokenPair[], epoch: number, { batch, seed }: FitOptions): number[][] => {
  const random = Random.stream(seed, `epoch ${epoch}`);
  const shuffled = random.shuffle(pairs.map((_, index) => index));
  const batches: number[][] = [];
  const window = batch * 32;
  for (let start = 0; start < shuffled.length; start += window) {
    const sorted = shuffled
      .slice(start, start + window)
      .sort((a, b) => pairs[a]!.prompt.length - pairs[b]!.prompt.length);
    for (let at = 0; at < sorted.length; at += batch) batches.push(sorted.slice(at, at + batch));
  }
  return random.shuffle(batches);
});

/** Keeps the last epoch's order. */
function cached<R>(make: (pairs: readonly TokenPair[], epoch: number, options: FitOptions) => R) {
  let last: { pairs: readonly TokenPair[]; epoch: number; result: R } | undefined;
  return (pairs: readonly TokenPair[], epoch: number, options: FitOptions): R => {
    if (last?.pairs !== pairs || last.epoch !== epoch) last = { pairs, epoch, result: make(pairs, epoch, options) };
    return last.result;
  };
}

/** Asks the model that was written, read back from disk. */
async function measure(
  { out, device }: FitOptions,
  pairs: readonly TokenPair[],
  context: CommandContext,
): Promise<number> {
  const model = await LanguageModel.open(out, { device });
  try {
    const editable = await model.editing([]);
    const onProgress = (done: number, total: number) =>
      context.emit({ kind: 'progress', stage: 'check', done, total, unit: 'prompts' });
    const predictions = await predictPairs(editable, [editable.base], pairs, {
      batch: 256,
      signal: context.signal,
      onProgress,
    });
    return predictions.filter(([prediction]) => success(prediction!) === 1).length / pairs.length;
  } finally {
    await model.close();
  }
}
