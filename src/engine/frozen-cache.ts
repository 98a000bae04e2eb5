// Keeps what the frozen part of a model makes of each prompt, so that a prompt that comes up again, in whatever batch, costs no
// matrix product below the first edited layer. Gives what running the frozen part gives, bit for bit. Knows no disk.

import { evaluateShape } from '../graph/dim.js';
import type { Value } from '../graph/ops.js';
import type { Program } from '../graph/program.js';
import { elementCount, f32, type TensorOf } from '../tensor.js';
import { freeMemory } from '../util/free-memory.js';
import { type BatchPrompt, batchPrompts, pickPrompts, sideWidths } from './batch-prompts.js';
import { type CrossingRows, crossingRows, recordLength, sharedStretches } from './crossing-rows.js';
import { batchDims, type ModelBatch } from './model-batch.js';
import type { Resident, Runtime } from './runtime.js';

/** Records of float32 numbers by key. */
export interface RecordStore {
  /** Whether there is one. */
  has(key: string): boolean;
  /** A copy, the caller's; undefined where there is none, or it was damaged. */
  read(key: string): Promise<Float32Array | undefined>;
  /** Those that are new, or as many as there is room for. */
  write(records: ReadonlyMap<string, Float32Array>): Promise<void>;
}

type Crossing = Record<string, Resident>;

/** A frozen part, as a schedule runs it. */
export interface FrozenRun {
  /** The crossing values: the same map every time. */
  readonly outputs: ReadonlyMap<string, Value>;
  /** Runs all of it. */
  readonly whole: (batch: ModelBatch) => Promise<Crossing>;
  /** Runs a small program over the same inputs. */
  readonly small: (program: Program, batch: ModelBatch) => Promise<Crossing>;
}

/** How many prompts were asked for, and how many of them were there. */
export interface CacheUse {
  readonly asked: number;
  readonly found: number;
}

/** A batch with its prompts and what their records are called. */
interface KeyedBatch {
  readonly batch: ModelBatch;
  readonly prompts: readonly BatchPrompt[];
  readonly keys: readonly string[];
}

/** What was kept of prompts, used by an editable model as it asks them again. */
export class FrozenCache {
  readonly #runtime: Runtime;
  readonly #store: RecordStore;
  readonly #plans = new WeakMap<ReadonlyMap<string, Value>, CrossingRows>();
  #use = { asked: 0, found: 0 };
  #isOpen = true;

  /** @internal */
  constructor(runtime: Runtime, store: RecordStore) {
    this.#runtime = runtime;
    this.#store = store;
  }

  get use(): CacheUse {
    return this.#use;
  }

  /** From now on everything is computed. */
  close(): void {
    this.#isOpen = false;
  }

  /**
   * The crossing values of a batch, the caller's.
   * @internal
   */
  async freeze(batch: ModelBatch, run: FrozenRun): Promise<Crossing> {
    const plan = this.#plan(run.outputs);
    const prompts = this.#isOpen && plan.kept.length > 0 && !isOneRow(batch) ? batchPrompts(batch) : undefined;
    if (!prompts) return run.whole(batch);
    const keyed = { batch, prompts, keys: prompts.map(({ key }) => `${key}.${plan.id}`) };
    const found = await this.#find(keyed, plan);
    this.#use = { asked: this.#use.asked + prompts.length, found: this.#use.found + found.size };
    if (found.size === 0) return this.#computeAll(keyed, plan, run);
    return this.#assemble(keyed, plan, run, found);
  }

  #plan(outputs: ReadonlyMap<string, Value>): CrossingRows {
    const plan = this.#plans.get(outputs) ?? crossingRows(outputs);
    this.#plans.set(outputs, plan);
    return plan;
  }

  /** The records that are there, by row. */
  async #find({ prompts, keys }: KeyedBatch, { kept }: CrossingRows): Promise<Map<number, Float32Array>> {
    const found = new Map<number, Float32Array>();
    const read = async (row: number) => {
      const record = await this.#store.read(keys[row]!);
      if (record?.length === recordLength(kept, prompts[row]!)) found.set(row, record);
    };
    for (let start = 0; start < keys.length; start += readsAtOnce) {
      const rows = keys.slice(start, start + readsAtOnce).map((_, at) => start + at);
      await Promise.all(rows.map(read));
    }
    return found;
  }

  async #computeAll(keyed: KeyedBatch, plan: CrossingRows, { whole }: FrozenRun): Promise<Crossing> {
    const crossing = await whole(keyed.batch);
    try {
      const unknown = keyed.keys.map((_, row) => row).filter((row) => !this.#store.has(keyed.keys[row]!));
      const records = await this.#records(keyed, plan, crossing, unknown);
      await this.#store.write(new Map([...records].map(([row, record]) => [keyed.keys[row]!, record])));
      for (const record of records.values()) freeMemory(record);
      return crossing;
    } catch (error) {
      this.#runtime.release(...Object.values(crossing));
      throw error;
    }
  }

  /** The records of some rows of a batch that was computed. */
  async #records({ batch, prompts }: KeyedBatch, { kept }: CrossingRows, crossing: Crossing, rows: readonly number[]) {
    const widths = sideWidths(batch);
    const records = new Map(rows.map((row) => [row, new Float32Array(recordLength(kept, prompts[row]!))]));
    for (const [at, { name, side }] of kept.entries()) {
      const { data } = await this.#runtime.download<TensorOf<'f32'>>(crossing[name]!);
      for (const [row, record] of records) {
        for (const { inRecord, inValue, length } of sharedStretches(kept, at, prompts[row]!, row, widths.get(side)!))
          record.set(data.subarray(inValue, inValue + length), inRecord);
      }
      freeMemory(data);
    }
    return records;
  }

  /** Records that are there, the others computed; padding is 0, which no real token sees. */
  async #assemble(
    keyed: KeyedBatch,
    plan: CrossingRows,
    run: FrozenRun,
    found: ReadonlyMap<number, Float32Array>,
  ): Promise<Crossing> {
    const computed = await this.#computeMissing(keyed, plan, run, found);
    const crossing = plan.others.outputs.size > 0 ? await run.small(plan.others, keyed.batch) : {};
    const widths = sideWidths(keyed.batch);
    const dims = new Map(Object.entries(batchDims(keyed.batch)));
    for (const [at, { name, side, shape: symbolic }] of plan.kept.entries()) {
      const shape = evaluateShape(symbolic, dims);
      const data = new Float32Array(elementCount(shape));
      for (const [row, record] of [...found, ...computed]) {
        const stretches = sharedStretches(plan.kept, at, keyed.prompts[row]!, row, widths.get(side)!);
        for (const { inRecord, inValue, length } of stretches)
          data.set(record.subarray(inRecord, inRecord + length), inValue);
      }
      crossing[name] = await this.#runtime.upload(f32(data, shape), { move: true });
    }
    for (const record of [...found.values(), ...computed.values()]) freeMemory(record);
    return crossing;
  }

  async #computeMissing(
    { batch, prompts, keys }: KeyedBatch,
    plan: CrossingRows,
    { whole }: FrozenRun,
    found: ReadonlyMap<number, Float32Array>,
  ): Promise<Map<number, Float32Array>> {
    const missing = keys.map((_, row) => row).filter((row) => !found.has(row));
    if (missing.length === 0) return new Map();
    // Never one row alone: see `isOneRow`.
    const rows = missing.length === 1 ? [missing[0]!, missing[0]!] : missing;
    const part = {
      batch: pickPrompts(batch, rows),
      prompts: rows.map((row) => prompts[row]!),
      keys: rows.map((row) => keys[row]!),
    };
    const crossing = await whole(part.batch);
    const places = missing.map((_, at) => at);
    const records = await this.#records(part, plan, crossing, places);
    this.#runtime.release(...Object.values(crossing));
    await this.#store.write(new Map(places.map((at) => [part.keys[at]!, records.get(at)!])));
    return new Map(places.map((at) => [missing[at]!, records.get(at)!]));
  }
}

/** Files that are open at once. */
const readsAtOnce = 64;

/** A matrix of one row goes through another kernel of the runtime, with other roundings than the same row among others. */
function isOneRow(batch: ModelBatch): boolean {
  return batch.tensors.tokenIds!.shape[0] === 1 && [...sideWidths(batch).values()].includes(1);
}
