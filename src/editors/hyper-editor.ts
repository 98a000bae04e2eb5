// An editor that was trained: captures rows, sends them through its hyper-networks, and lets its method (MALMEN or MEND) make
// the shift. Also the other direction: from the loss's weight gradients to gradients of the hyper-networks' parameters.

import { RowSpool } from '../checkpoint/row-spool.js';
import type { CapturedRows, EditableModel, LayerTensors } from '../engine/editable-model.js';
import type { TokenChoice } from '../engine/lm-programs.js';
import { residentMatrices } from '../engine/resident-matrix.js';
import { type RowCounts, sumRows } from '../engine/row-counts.js';
import type { Runtime } from '../engine/runtime.js';
import { addShifts, asShift } from '../engine/weight-shift.js';
import { present } from '../util/present.js';
import type { AnswerBatch, ComputeShiftOptions, Editor } from './editor.js';
import { type TakeRows, takeLayers } from './layer-rows.js';
import { learnFrom } from './learn-from.js';
import type { MetaMethod, ShiftAccumulator, ShiftLesson, SolvedShift } from './meta-method.js';
import type { PreservedByLayer } from './preserved-keys.js';
import type { NetworkResidents, ResidentNetwork } from './resident-network.js';
import { type Feeding, intoSpool, solveFromSpool } from './spooled-rows.js';

/** The captured rows of one batch of edits. */
export interface RowChunk {
  readonly rows: RowCounts;
  /** The sum of the batch's token losses times the capture scale. */
  readonly loss: number;
  /** By group of layers. */
  readonly groups: readonly CapturedRows[];
}

export interface CaptureOptions {
  readonly scale?: number;
  /** Default: the base weights. */
  readonly weights?: LayerTensors;
}

/** A shift with what its method remembers for learning. */
export interface SolvedEdit {
  /** Owned by this object: {@link release} frees it. */
  readonly shift: LayerTensors;
  readonly solved: ReadonlyMap<string, SolvedShift>;
  release(): void;
}

/** One round of an edit: what it captures, under which weights, and after how many batches of earlier rounds. */
interface Round {
  readonly batches: readonly AnswerBatch[];
  readonly weights: LayerTensors;
  readonly number: number;
  readonly before: number;
}

/** Batches of all rounds, as far as they are known. */
function allBatches({ batches, number, before }: Round, rounds: number): number {
  return before + (rounds - number) * batches.length;
}

interface SpooledSolveOptions extends Pick<ComputeShiftOptions, 'lambdaScale' | 'hold'>, Feeding {
  readonly spoolTo: string;
}

/** A trained editor with its networks opened on a device. Close it when done. */
export class HyperEditor implements Editor {
  readonly name: string;
  /** @internal */
  readonly method: MetaMethod;
  /** Whose keys it captures. */
  readonly tokens: TokenChoice;
  /** One per group of the model's layers. @internal */
  readonly networks: readonly ResidentNetwork[];

  /** Keys that shifts should not touch. Owned by the editor. @internal */
  readonly preserved: PreservedByLayer;

  /** @internal */
  constructor(
    method: MetaMethod,
    tokens: TokenChoice,
    networks: readonly ResidentNetwork[],
    preserved: PreservedByLayer = new Map(),
  ) {
    this.preserved = preserved;
    this.name = method.name;
    this.method = method;
    this.tokens = tokens;
    this.networks = networks;
  }

  /**
   * Keys and value gradients of one batch. The gradient of a token does not depend on how many others are edited with it:
   * `scale` is 1 except where a published reduction is asked for.
   * @internal
   */
  async capture(
    model: EditableModel,
    batch: AnswerBatch,
    { scale = 1, weights = model.base }: CaptureOptions = {},
  ): Promise<RowChunk> {
    const { loss, rows } = await model.capture(batch, this.tokens, scale, weights);
    return { rows: model.rowCounts(batch, this.tokens), loss, groups: rows };
  }

  /** @internal */
  releaseChunk(model: EditableModel, { groups }: RowChunk): void {
    model.runtime.release(...groups.flatMap(({ keys, valueGradients }) => [keys, valueGradients]));
  }

  /** Updates the running statistics; only training does this. @internal */
  async observe(chunk: RowChunk): Promise<void> {
    for (const [group, network] of this.networks.entries()) await network.observe(chunk.groups[group]!);
  }

  /**
   * One round solves for all layers at once as if the others stood still. Every further round captures the facts again under
   * the shift so far and adds what is still missing.
   */
  async computeShift(
    model: EditableModel,
    batches: readonly AnswerBatch[],
    options: ComputeShiftOptions = {},
  ): Promise<LayerTensors> {
    const { rounds = 1, kept = () => [], inRound = () => batches } = options;
    let total = await this.#round(model, { batches: inRound(0), weights: model.base, number: 0, before: 0 }, options);
    for (let number = 1, before = batches.length; number < rounds; number++) {
      const weights = await model.shifted(total);
      const all = [...inRound(number), ...kept(number)];
      const more = await this.#round(model, { batches: all, weights, number, before }, options);
      before += all.length;
      model.releaseWeights(weights);
      const sum = await addShifts(model.runtime, total, more);
      model.runtime.release(...total.values(), ...more.values());
      total = sum;
    }
    return total;
  }

  async #round(model: EditableModel, round: Round, options: ComputeShiftOptions): Promise<LayerTensors> {
    const rows = sumRows(round.batches.map((batch) => model.rowCounts(batch, this.tokens)));
    const { lambdaScale, hold = 1, spoolTo } = options;
    const solving = { ...present('lambdaScale', lambdaScale), hold: round.number === 0 ? 1 : hold };
    const chunks = this.#streamed(model, round, options);
    if (spoolTo !== undefined) {
      const onChunk = this.#solveProgress(model, round, options);
      return this.#solveSpooled(model, chunks, rows, { ...options, ...solving, spoolTo, onChunk });
    }
    const { solved } = await this.solve(model, chunks, rows, solving);
    return new Map([...solved].map(([layer, edit]) => [layer, edit.takeShift()]));
  }

  /** Like {@link solve}, to the bit, with one layer's equation in memory at a time; nothing can be learnt from the result. */
  async #solveSpooled(
    model: EditableModel,
    chunks: AsyncIterable<RowChunk>,
    rows: RowCounts,
    { lambdaScale = 1, hold = 1, spoolTo, ...feeding }: SpooledSolveOptions,
  ): Promise<LayerTensors> {
    const accumulators = await this.#accumulators(model, rows, lambdaScale);
    const spool = await RowSpool.open(spoolTo);
    try {
      await this.#feed(model, chunks, hold, intoSpool(model.runtime, spool));
      return await solveFromSpool(model.runtime, spool, accumulators, feeding);
    } catch (error) {
      for (const accumulator of accumulators.values()) accumulator.release();
      throw error;
    } finally {
      await spool.remove();
    }
  }

  /** Each layer takes a chunk of every batch. */
  #solveProgress({ layers }: EditableModel, round: Round, { onSolve, rounds = 1 }: ComputeShiftOptions): () => void {
    let done = layers.length * round.before;
    const total = layers.length * allBatches(round, rounds);
    return () => onSolve?.({ done: ++done, total });
  }

  /** Captures batch after batch; each chunk is released before the next is made, so memory does not grow with the edits. */
  async *#streamed(
    model: EditableModel,
    round: Round,
    { signal, onProgress, rounds = 1 }: ComputeShiftOptions,
  ): AsyncGenerator<RowChunk> {
    const { batches, weights, before } = round;
    const total = allBatches(round, rounds);
    for (const [done, batch] of batches.entries()) {
      signal?.throwIfAborted();
      const chunk = await this.capture(model, batch, { weights });
      try {
        yield chunk;
      } finally {
        this.releaseChunk(model, chunk);
      }
      onProgress?.({ done: before + done + 1, total });
    }
  }

  /** Makes the shift of all chunks; `rows` is the sum of theirs. The chunks stay the caller's. @internal */
  async solve(
    model: EditableModel,
    chunks: Iterable<RowChunk> | AsyncIterable<RowChunk>,
    rows: RowCounts,
    { lambdaScale = 1, hold = 1 }: Pick<ComputeShiftOptions, 'lambdaScale' | 'hold'> = {},
  ): Promise<SolvedEdit> {
    const accumulators = await this.#accumulators(model, rows, lambdaScale);
    const solved = new Map<string, SolvedShift>();
    try {
      await this.#feed(model, chunks, hold, (layer, keys, outputs) => accumulators.get(layer)!.add(keys, outputs));
      for (const [layer, accumulator] of accumulators) solved.set(layer, await accumulator.solve());
    } catch (error) {
      for (const accumulator of accumulators.values()) accumulator.release();
      for (const layer of solved.values()) layer.release();
      throw error;
    }
    const shift = new Map([...solved].map(([layer, { shift: matrix }]) => [layer, matrix]));
    const release = () => {
      for (const layer of solved.values()) layer.release();
    };
    return { shift, solved, release };
  }

  async #accumulators(
    model: EditableModel,
    rows: RowCounts,
    lambdaScale: number,
  ): Promise<Map<string, ShiftAccumulator>> {
    const ops = residentMatrices(model.runtime);
    const accumulators = new Map<string, ShiftAccumulator>();
    for (const [group, network] of this.networks.entries()) {
      const lambdas = await network.lambdas();
      for (const [at, { name, keySize, valueSize }] of model.groups[group]!.layers.entries()) {
        const preserved = this.preserved.get(name);
        const lambda = lambdas[at]! * lambdaScale;
        const options = { layer: name, keySize, valueSize, rows: rows.get(name) ?? 0, lambda, preserved };
        accumulators.set(name, this.method.accumulate(ops, options));
      }
    }
    return accumulators;
  }

  /** Sends chunk after chunk through the networks and hands each layer its rows. */
  async #feed(
    model: EditableModel,
    chunks: Iterable<RowChunk> | AsyncIterable<RowChunk>,
    hold: number,
    take: TakeRows,
  ): Promise<void> {
    for await (const chunk of chunks) {
      for (const [group, network] of this.networks.entries()) {
        const captured = chunk.groups[group]!;
        const outputs = await network.rowOutputs(captured, hold);
        try {
          await takeLayers(model.groups[group]!, captured, outputs, take);
        } finally {
          model.runtime.release(...Object.values(outputs));
        }
      }
    }
  }

  /**
   * From d(loss)/d(edited weight) (checkpoint layout; released here) to gradients of every network's parameters,
   * `lamda.weight` among them where the method has a lambda.
   * @internal
   */
  async learn(
    model: EditableModel,
    chunks: readonly RowChunk[],
    { solved }: SolvedEdit,
    weightGradients: LayerTensors,
  ): Promise<NetworkResidents[]> {
    const all: NetworkResidents[] = [];
    for (const [group, network] of this.networks.entries()) {
      const { layers } = model.groups[group]!;
      const lessons: ShiftLesson[] = [];
      for (const { name, orientation } of layers) {
        const gradient = await asShift(model.runtime, weightGradients.get(name)!, orientation);
        lessons.push(await solved.get(name)!.learn(gradient));
      }
      const rows = chunks.map((chunk) => chunk.groups[group]!);
      all.push(await learnFrom({ runtime: model.runtime, method: this.method, network }, rows, lessons));
    }
    return all;
  }

  /** Releases the networks and what is known of the keys to preserve, which live beside `runtime`. */
  close(runtime: Runtime): void {
    for (const network of this.networks) network.close();
    const ops = residentMatrices(runtime);
    for (const preserved of this.preserved.values()) preserved.release(ops);
  }
}
