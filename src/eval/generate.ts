// Free generation, greedy or sampled, of many prompts at once. Models with a memory read each token once; others read the whole
// sequence again at each step, with the same result.

import { makeBatch } from '../data/split-batches.js';
import type { EditableModel, LayerTensors, ModelBatch } from '../engine/editable-model.js';
import { i64, type TensorOf } from '../tensor.js';
import { hasNaturalStop } from '../tokenizer/stop.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import type { ModelKind } from '../util/model-kind.js';
import type { Random } from '../util/random.js';
import { GrowingBatch } from './growing-batch.js';

export interface GenerateOptions {
  /** New tokens at most. */
  readonly maxTokens: number;
  /** Prompts per pass. */
  readonly batch: number;
  /** Stop at the natural end of the first sentence, not only at the end of text. */
  readonly stopAtSentence: boolean;
  /** Absent: the most likely token. */
  readonly sampling?: Sampling;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface Sampling {
  /** Above 0; logits are divided by it. */
  readonly temperature: number;
  /** Only this many most likely tokens; all when absent. */
  readonly topK?: number;
  readonly random: Random;
}

/**
 * The continuation of each prompt (token ids), without the end-of-text token; of an encoder-decoder, what its decoder writes.
 * For models that write: a classifier has no next token.
 */
export async function generate(
  model: EditableModel,
  weights: LayerTensors,
  tokenizer: Tokenizer,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions,
): Promise<number[][]> {
  const generated: number[][] = prompts.map(() => []);
  const order = prompts.map((_, index) => index).sort((a, b) => prompts[a]!.length - prompts[b]!.length);
  for (let start = 0; start < order.length; start += options.batch) {
    await generateBatch(
      model,
      weights,
      tokenizer,
      prompts,
      generated,
      order.slice(start, start + options.batch),
      options,
    );
    options.onProgress?.(Math.min(start + options.batch, order.length), order.length);
  }
  return generated;
}

async function generateBatch(
  model: EditableModel,
  weights: LayerTensors,
  tokenizer: Tokenizer,
  prompts: readonly (readonly number[])[],
  generated: number[][],
  indices: readonly number[],
  options: GenerateOptions,
): Promise<void> {
  const room = model.model.definition.contextTokens;
  let open = indices.filter((index) => prompts[index]!.length <= room);
  // Beside an encoder, the decoder has its own room.
  const shared = model.model.definition.kind === 'decoder';
  const read = (index: number) => (shared ? prompts[index]!.length : 0) + generated[index]!.length;
  const source = nextTokenSource(model, weights, prompts, generated, open, options.sampling);
  try {
    for (let step = 0; step < options.maxTokens && open.length > 0; step++) {
      options.signal?.throwIfAborted();
      const next = await source.next(open);
      const going = open
        .map((index, at) => ({ index, token: next[at]! }))
        .filter(({ token }) => token !== tokenizer.endOfText);
      for (const { index, token } of going) generated[index]!.push(token);
      open = going.map(({ index }) => index).filter((index) => read(index) <= room);
      if (options.stopAtSentence) open = await withoutStopped(tokenizer, generated, open);
    }
  } finally {
    source.close();
  }
}

interface NextTokenSource {
  /** One token for each sequence that is still open. */
  next(open: readonly number[]): Promise<number[]>;
  close(): void;
}

/** @param all the sequences that are written, by their indices in `prompts` and `generated` */
function nextTokenSource(
  model: EditableModel,
  weights: LayerTensors,
  prompts: readonly (readonly number[])[],
  generated: readonly (readonly number[])[],
  all: readonly number[],
  sampling: Sampling | undefined,
): NextTokenSource {
  if (!model.canStep || all.length === 0) {
    const whole = (index: number) => ({ prompt: prompts[index]!, written: generated[index]! });
    return { next: (open) => nextTokens(model, weights, open.map(whole), sampling), close: () => {} };
  }
  const sequences = new GrowingBatch(
    model,
    weights,
    all.map((index) => prompts[index]!),
  );
  return {
    async next(open) {
      if (generated[open[0]!]!.length > 0) sequences.append(all.map((index) => generated[index]!.at(-1) ?? 0));
      const rows = open.map((index) => all.indexOf(index));
      const tokens = sampling ? undefined : await sequences.predict();
      if (tokens) return rows.map((row) => tokens[row]!);
      const logits = await sequences.logits();
      return rows.map((row) => sample(rowOf(logits, row), sampling!));
    },
    close: () => sequences.close(),
  };
}

async function withoutStopped(
  tokenizer: Tokenizer,
  generated: readonly number[][],
  open: readonly number[],
): Promise<number[]> {
  const texts = await tokenizer.decode(open.map((index) => generated[index]!));
  return open.filter((_, at) => !hasNaturalStop(texts[at]!));
}

/** A sequence that is being written. */
interface Unfinished {
  readonly prompt: readonly number[];
  readonly written: readonly number[];
}

/** A batch that asks for one token of each sequence, the next: whatever its label, the last answer row is where it is said. */
function nextTokenBatch(kind: ModelKind, sequences: readonly Unfinished[]): ModelBatch {
  const { tensors, answerCounts } = makeBatch(
    kind,
    sequences.map(({ prompt, written }) => ({ prompt, answer: [...written, 0] })),
  );
  let end = 0;
  const last = answerCounts.map((count) => {
    end += count;
    return end - 1;
  });
  const rows = last.map((at) => Number(tensors.answerRows.data[at]));
  const [answerRows, labels] = [i64(rows, [rows.length]), i64(new Array<number>(rows.length).fill(0), [rows.length])];
  return { tensors: { ...tensors, answerRows, labels } };
}

async function nextTokens(
  model: EditableModel,
  weights: LayerTensors,
  sequences: readonly Unfinished[],
  sampling: Sampling | undefined,
): Promise<number[]> {
  const frozen = await model.freeze(nextTokenBatch(model.model.definition.kind, sequences));
  try {
    if (!sampling) return Array.from((await model.predict(frozen, weights)).predicted, Number);
    const logits = await model.logits(frozen, weights);
    const host = await model.runtime.download<TensorOf<'f32'>>(logits);
    model.runtime.release(logits);
    return sequences.map((_, row) => sample(rowOf(host, row), sampling));
  } finally {
    model.releaseFrozen(frozen);
  }
}

function rowOf({ data, shape }: TensorOf<'f32'>, row: number): Float32Array {
  const width = shape[1]!;
  return data.subarray(row * width, (row + 1) * width);
}

/** Draws a token from softmax(logits / temperature), of the `topK` largest. */
function sample(logits: Float32Array, { temperature, topK, random }: Sampling): number {
  const ids = Array.from(logits.keys())
    .sort((a, b) => logits[b]! - logits[a]!)
    .slice(0, topK ?? logits.length);
  const weights = ids.map((id) => Math.exp((logits[id]! - logits[ids[0]!]!) / temperature));
  let left = random.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
  const at = weights.findIndex((weight) => {
    left -= weight;
    return left < 0;
  });
  return ids[at < 0 ? ids.length - 1 : at]!;
}
