// `malmen bench`: times the work of the project against the least that it could take on this machine.

import { networkShape } from '../editors/editor-folder.js';
import { HyperEditor } from '../editors/hyper-editor.js';
import { initialParameters } from '../editors/hyper-network.js';
import { malmen } from '../editors/malmen.js';
import { emptyMoments, ResidentNetwork } from '../editors/resident-network.js';
import type { EditableModel } from '../engine/editable-model.js';
import { LanguageModel } from '../engine/language-model.js';
import { openRuntime } from '../engine/open-runtime.js';
import { residentMatrices } from '../engine/resident-matrix.js';
import type { Runtime } from '../engine/runtime.js';
import { openNormalEquation } from '../linalg/normal-equation.js';
import { f32 } from '../tensor.js';
import { MetaTrainer } from '../train/meta-trainer.js';
import { formatBytes } from '../util/byte-size.js';
import { MemoryWatch } from '../util/memory-watch.js';
import { Random } from '../util/random.js';
import { withBenchModel } from './bench/bench-model.js';
import { type EditWork, editFlops, type LanguageModelWork, shiftFlops, trainingStepFlops } from './bench/floor.js';
import { matmulRate } from './bench/matmul-rate.js';
import { randomBatches } from './bench/random-batch.js';
import type { CommandContext } from './events.js';
import { jobsOf } from './memory-job.js';
import { planRun } from './memory-limit.js';
import type { BenchOptions } from './options.js';

/** What was measured, and the time that the arithmetic alone would take. */
export interface BenchResult {
  readonly what: BenchOptions['what'];
  /** The fastest run. */
  readonly seconds: number;
  /** The fastest run's, of all threads together. */
  readonly cpuSeconds: number;
  /** Floating-point operations of the job over the matrix-product rate. */
  readonly floorSeconds: number;
  readonly ratio: number;
  readonly peakRssBytes: number;
  /** Of the peak: what the process took for itself, and mapped files in the page cache; undefined where it is not told. */
  readonly peakAnonymousBytes: number;
  readonly peakMappedBytes: number | undefined;
  /** Seconds of each part of the fastest run. */
  readonly stages: Readonly<Record<string, number>>;
  readonly flops: number;
  readonly matmulFlopsPerSecond: number;
  readonly options: Partial<BenchOptions>;
}

/** One measured run. */
interface Run {
  readonly seconds: number;
  /** Of all threads together: what the run would take of an otherwise busy machine. */
  readonly cpuSeconds: number;
  readonly stages: Readonly<Record<string, number>>;
}

/** `malmen bench`: measures one part of the program on this computer, and the time that its arithmetic alone would take. */
export async function bench(options: BenchOptions, context: CommandContext): Promise<BenchResult> {
  const measure = { step: benchStep, edit: benchEdit, solve: benchSolve, matmul: benchMatmul }[options.what];
  const watch = new MemoryWatch();
  const { runs, flops, rate } = await measure(options, context);
  const peaks = watch.stop();
  const best = runs.reduce((fastest, run) => (run.seconds < fastest.seconds ? run : fastest));
  const floorSeconds = flops / rate;
  const peakRssBytes = process.resourceUsage().maxRSS * 1024;
  const result = {
    what: options.what,
    ...best,
    floorSeconds,
    ratio: best.seconds / floorSeconds,
    peakRssBytes,
    peakAnonymousBytes: peaks.anonymous,
    peakMappedBytes: peaks.mapped,
    flops,
    matmulFlopsPerSecond: rate,
    options,
  };
  tell(result, context);
  return result;
}

interface Measured {
  readonly runs: readonly Run[];
  readonly flops: number;
  readonly rate: number;
}

function runtimeOptions({ device, threads }: BenchOptions) {
  return { device, ...(threads === undefined ? {} : { threads }) };
}

/** Runs a job `repeats` times, after one that does not count unless there is to be none. */
async function repeat(
  { repeats, warmUp }: BenchOptions,
  { emit, signal }: CommandContext,
  job: () => Promise<Record<string, number>>,
): Promise<Run[]> {
  const runs: Run[] = [];
  const first = warmUp ? -1 : 0;
  for (let run = first; run < repeats; run++) {
    signal.throwIfAborted();
    const start = performance.now();
    const before = process.cpuUsage();
    const stages = await job();
    const { user, system } = process.cpuUsage(before);
    if (run >= 0) runs.push({ seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6, stages });
    emit({ kind: 'progress', stage: 'bench', done: run + 1 - first, total: repeats - first, unit: 'runs' });
  }
  return runs;
}

/** The rate before and after the job: the better one, so that a busy moment does not flatter the ratio. */
async function withRate(
  runtime: Runtime,
  work: () => Promise<readonly Run[]>,
): Promise<{ runs: readonly Run[]; rate: number }> {
  const before = await matmulRate(runtime);
  const runs = await work();
  return { runs, rate: Math.max(before, await matmulRate(runtime)) };
}

async function benchMatmul(options: BenchOptions, context: CommandContext): Promise<Measured> {
  const runtime = await openRuntime(runtimeOptions(options));
  try {
    const flops = 2 * 1024 * 768 * 3072;
    const runs = await repeat(options, context, async () => ({ rate: await matmulRate(runtime) }));
    const rate = Math.max(...runs.map(({ stages }) => stages.rate!));
    return {
      runs: runs.map(({ cpuSeconds, stages }) => ({ seconds: flops / stages.rate!, cpuSeconds, stages: {} })),
      flops,
      rate,
    };
  } finally {
    await runtime.close();
  }
}

/** A MALMEN editor with fresh networks on the benchmark model. */
interface Bench {
  readonly model: LanguageModel;
  readonly editable: EditableModel;
  readonly editor: HyperEditor;
  readonly random: Random;
  /** Prompts per pass. */
  readonly batch: number;
}

async function withBench<R>(
  options: BenchOptions,
  context: CommandContext,
  work: (bench: Bench) => Promise<R>,
): Promise<R> {
  return withBenchModel(options.model, async (folder) => {
    const model = await LanguageModel.open(folder, runtimeOptions(options));
    try {
      const plan = planRun(options, jobOf(model, options), context);
      const editable = await model.editing(model.layers(options.layers), plan);
      const random = Random.stream(options.seed, 'bench');
      const networks: ResidentNetwork[] = [];
      for (const group of editable.groups) {
        const shape = networkShape(group, options);
        const tensors = initialParameters(shape, { learningRate: 1e-6, logLambda: 0 }, random);
        const open = { shape, moments: emptyMoments(shape), rowLimit: 8192 };
        networks.push(await ResidentNetwork.open(model.runtime, malmen, tensors, open));
      }
      const editor = new HyperEditor(malmen, 'answers', networks);
      return await work({ model, editable, editor, random, batch: plan.batch });
    } finally {
      await model.close();
    }
  });
}

/** What is about to be measured, for the choice of schedule. */
function jobOf(model: LanguageModel, { what, edits, tokens, answerTokens, layers, ...network }: BenchOptions) {
  const ids = (length: number) => Array.from({ length }, () => 0);
  const facts = Array.from({ length: edits }, () => ({
    prompt: ids(tokens - answerTokens + 1),
    answer: ids(answerTokens),
  }));
  const task = what === 'step' ? 'train' : 'edit';
  return jobsOf({ task, model, layers: model.layers(layers), pairs: facts, edits: facts, tokens: 'answers', network });
}

interface BenchWork {
  readonly lm: LanguageModelWork;
  readonly edited: readonly EditWork[];
}

function workOf({ model, editable }: Bench, options: BenchOptions): BenchWork {
  const { layers, vocabularySize, kind } = model.definition;
  const { edits, tokens, answerTokens, rank, blocks } = options;
  const { taps, hidden } = model.definition.forward({ answersOnlyInLastBlock: false });
  // An encoder reads the prompt only, a decoder beside it the answer only, except where it looks at the encoder.
  const read = (layer: string) => {
    if (kind !== 'encoder-decoder') return tokens;
    return taps.get(layer)!.rows === 'tokens' ? tokens - answerTokens + 1 : answerTokens;
  };
  const size = (from: typeof layers) =>
    from.reduce((sum, { name, keySize, valueSize }) => sum + (keySize * valueSize * read(name)) / tokens, 0);
  // Layers may be chosen in any order.
  const first = layers.findIndex((layer) => editable.layers.includes(layer));
  const lm = {
    edits,
    tokens,
    answerTokens,
    capturedTokens: kind === 'decoder' ? answerTokens : tokens,
    frozen: size(layers.slice(0, first)),
    live: size(layers.slice(first)),
    head: (kind === 'classifier' ? 2 : vocabularySize) * (hidden.at(-1)!.shape.at(-1) as number),
    edited: size(editable.layers),
  };
  const edited = editable.layers.map(({ name, keySize, valueSize }) => ({
    keySize,
    valueSize,
    // An encoder has no answer: all its tokens are captured.
    rows: edits * (kind === 'encoder-decoder' ? read(name) : answerTokens),
    network: blocks * 2 * (keySize + valueSize) * rank,
  }));
  return { lm, edited };
}

async function benchStep(options: BenchOptions, context: CommandContext): Promise<Measured> {
  return withBench(options, context, async (setup) => {
    const { model, editable, editor, random, batch } = setup;
    const draw = () => {
      const shape = { size: batch, tokens: options.tokens, answerTokens: options.answerTokens };
      return randomBatches(options.edits, shape, model.definition, random);
    };
    const batches = { edits: draw(), rephrasings: draw(), unrelated: draw() };
    let stages: Record<string, number> = {};
    const onStage = (stage: string, seconds: number) => {
      stages[stage] = seconds;
    };
    const trainer = await MetaTrainer.open(editable, editor, {
      metaRate: 1e-5,
      maxGradientNorm: 1,
      localityWeight: 1,
      onStage,
    });
    const job = async () => {
      stages = {};
      await trainer.train(batches);
      return stages;
    };
    const { lm, edited } = workOf(setup, options);
    return {
      ...(await withRate(model.runtime, () => repeat(options, context, job))),
      flops: trainingStepFlops(lm, edited),
    };
  });
}

async function benchEdit(options: BenchOptions, context: CommandContext): Promise<Measured> {
  return withBench(options, context, async (setup) => {
    const { model, editable, editor, random, batch } = setup;
    const shape = { size: batch, tokens: options.tokens, answerTokens: options.answerTokens };
    const batches = randomBatches(options.edits, shape, model.definition, random);
    const sample = await editor.capture(editable, batches[0]!);
    await editor.observe(sample);
    editor.releaseChunk(editable, sample);
    const job = async () => {
      const onProgress = ({ done, total }: { done: number; total: number }) =>
        context.emit({ kind: 'progress', stage: 'edit', done, total, unit: 'batches' });
      const shift = await editor.computeShift(editable, batches, { signal: context.signal, onProgress });
      model.runtime.release(...shift.values());
      return {};
    };
    const { lm, edited } = workOf(setup, options);
    return { ...(await withRate(model.runtime, () => repeat(options, context, job))), flops: editFlops(lm, edited) };
  });
}

/** One primal solve: twice as many rows as the key size, a quarter of it as value size. */
async function benchSolve(options: BenchOptions, context: CommandContext): Promise<Measured> {
  const { keySize, seed } = options;
  const work = { keySize, valueSize: Math.ceil(keySize / 4), rows: 2 * keySize, network: 0 };
  const runtime = await openRuntime(runtimeOptions(options));
  try {
    const ops = residentMatrices(runtime);
    const random = Random.stream(seed, 'solve');
    const matrix = (m: number, n: number) =>
      ops.upload(
        f32(
          Float32Array.from({ length: m * n }, () => random.uniform() - 0.5),
          [m, n],
        ),
      );
    const keys = await matrix(work.rows, keySize);
    const changes = await matrix(work.rows, work.valueSize);
    const job = async () => {
      const equation = openNormalEquation(ops, {
        module: 'bench',
        keySize,
        valueSize: work.valueSize,
        rows: work.rows,
        lambda: 1,
        form: 'primal',
      });
      const start = performance.now();
      await equation.add(keys, changes);
      const added = performance.now();
      ops.release((await equation.solve()).takeShift());
      return { gram: (added - start) / 1000, factorAndSolve: (performance.now() - added) / 1000 };
    };
    return { ...(await withRate(runtime, () => repeat(options, context, job))), flops: shiftFlops(work) };
  } finally {
    await runtime.close();
  }
}

function tell(result: BenchResult, { emit }: CommandContext): void {
  const stages = Object.entries(result.stages).map(([stage, seconds]) => [stage, seconds, seconds / result.seconds]);
  const whole = [
    ['whole', result.seconds, 1],
    ['floor (work / rate)', result.floorSeconds, result.floorSeconds / result.seconds],
  ];
  emit({
    kind: 'table',
    title: `bench ${result.what}`,
    columns: ['stage', 'seconds', 'share'],
    rows: [...stages, ...whole],
  });
  const gigaflops = (result.matmulFlopsPerSecond / 1e9).toFixed(0);
  const mapped = result.peakMappedBytes === undefined ? '' : `, ${formatBytes(result.peakMappedBytes)} mapped`;
  const peak = `${formatBytes(result.peakRssBytes)} (${formatBytes(result.peakAnonymousBytes)} anonymous${mapped})`;
  emit({
    kind: 'note',
    text: `time / floor ${result.ratio.toFixed(2)}; matrix products ${gigaflops} GFLOP/s; peak memory ${peak}`,
  });
}
