// The one place that imports onnxruntime: sessions, and the tensors that stay beside them. Speaks plain numbers, names and
// typed arrays, so that the same object serves this thread and a worker.

import * as ort from 'onnxruntime-node';
import { MalmenError } from '../errors.js';
import { constant } from '../graph/build.js';
import { emitProgram } from '../graph/emit.js';
import { makeProgram } from '../graph/program.js';
import { type DType, elementCount, type Tensor } from '../tensor.js';
import { freeMemory } from '../util/free-memory.js';
import { physicalCores } from '../util/physical-cores.js';
import { BufferPool } from './buffer-pool.js';
import type { Device, RuntimeMemory } from './runtime.js';

export interface HostOptions {
  readonly device: Device;
  /** Threads of one operation. Default: the physical cores that this process may use. */
  readonly threads?: number;
}

export interface SessionRequest {
  readonly model: Uint8Array;
  readonly folder?: string;
  /** 16-bit weights are cast where they are used; the optimiser would fold the casts into float32 copies. */
  readonly optimize: boolean;
}

/** A resident, from its element `offset` on. */
interface Place {
  readonly id: number;
  readonly offset: number;
}

/** A tensor by value or by place. */
export type WireFeed = Tensor | (Place & { readonly dtype: DType; readonly shape: readonly number[] });

export interface WireOutput {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Keep the output under this number instead of returning it. */
  readonly keepAs?: number;
  /** Write the output there instead of returning it. */
  readonly into?: Place;
}

type Data = Float32Array | BigInt64Array;

const ortType = { f32: 'float32', i64: 'int64' } as const;

export class SessionHost {
  readonly #options: HostOptions;
  readonly #sessions = new Map<number, ort.InferenceSession>();
  readonly #residents = new Map<number, Data>();
  /** Owners of each stored tensor that has more than one. */
  readonly #owners = new Map<Data, number>();
  readonly #pool = new BufferPool();
  /** No output would take their buffers again: pooled, they would pile up. */
  readonly #uploaded = new WeakSet<Data>();

  private constructor(options: HostOptions) {
    this.#options = options;
  }

  /** @throws MalmenError `unsupported` when the device is not there. */
  static async start(options: HostOptions): Promise<SessionHost> {
    const host = new SessionHost(options);
    await host.#probe();
    return host;
  }

  /** Opens the smallest session: the runtime names the devices that it was built for, present or not. */
  async #probe(): Promise<void> {
    const { model } = emitProgram(makeProgram({ one: constant(1) }), () => 'fed');
    try {
      const session = await ort.InferenceSession.create(model, this.#sessionOptions({ model, optimize: false }));
      await session.release();
    } catch (error) {
      throw unavailable(this.#options.device, error);
    }
  }

  async open(id: number, request: SessionRequest): Promise<void> {
    const session = await ort.InferenceSession.create(request.model, this.#sessionOptions(request));
    this.#sessions.set(id, session);
  }

  #sessionOptions({ folder, optimize }: SessionRequest): ort.InferenceSession.SessionOptions {
    const session: Record<string, string> = {
      disable_prepacking: '1',
      // Every session has its own threads. After a run they would spin for milliseconds, on the cores that the next session
      // and this process's other thread need: a training step took a quarter longer, a small model's twice as long.
      'intra_op.allow_spinning': '0',
    };
    if (folder !== undefined) session.model_external_initializers_file_folder_path = folder;
    return {
      executionProviders: [this.#options.device],
      // Not the runtime's own count, which takes the two cores of some virtual machines for two threads of one core.
      intraOpNumThreads: this.#options.threads ?? physicalCores(),
      graphOptimizationLevel: optimize ? 'all' : 'disabled',
      logSeverityLevel: 4,
      // Every session would keep an arena of its own at its peak size; without, freed memory serves the next one.
      enableCpuMemArena: false,
      enableMemPattern: false,
      extra: { session },
    };
  }

  /** Runs one session. Outputs that are not kept are returned in the order asked for. */
  async run(id: number, feeds: Readonly<Record<string, WireFeed>>, outputs: readonly WireOutput[]): Promise<Data[]> {
    const session = this.#sessions.get(id);
    if (!session) throw new Error(`no session ${id}`);
    const inputs = Object.entries(feeds).map(([name, feed]) => [name, this.#tensor(feed)] as const);
    const targets = outputs.map((output) => this.#target(output));
    const fetches = outputs.map(
      (output, at) => [output.name, makeTensor(output.dtype, targets[at]!, output.shape)] as const,
    );
    await session.run(Object.fromEntries(inputs), Object.fromEntries(fetches));
    outputs.forEach((output, at) => {
      if (output.keepAs !== undefined) this.#residents.set(output.keepAs, targets[at]!);
    });
    return targets.filter((_, at) => outputs[at]!.keepAs === undefined && outputs[at]!.into === undefined);
  }

  #target({ dtype, shape, keepAs, into }: WireOutput): Data {
    const count = elementCount(shape);
    if (into) return this.#view(into, count);
    if (dtype === 'i64') return new BigInt64Array(count);
    return keepAs === undefined ? new Float32Array(count) : this.#pool.take(count);
  }

  #tensor(feed: WireFeed): ort.Tensor {
    if (!('id' in feed)) return makeTensor(feed.dtype, feed.data, feed.shape);
    return makeTensor(feed.dtype, this.#view(feed, elementCount(feed.shape)), feed.shape);
  }

  #view({ id, offset }: Place, count: number): Data {
    return this.#stored(id).subarray(offset, offset + count);
  }

  #stored(id: number): Data {
    const data = this.#residents.get(id);
    if (!data) throw new Error(`resident tensor ${id} was released`);
    return data;
  }

  /** Takes ownership of `data`. */
  upload(id: number, data: Data): void {
    this.#residents.set(id, data);
    this.#uploaded.add(data);
  }

  /** A copy of `count` elements from `offset`. */
  download(id: number, offset: number, count: number): Data {
    return this.#stored(id).slice(offset, offset + count);
  }

  share(id: number, original: number): void {
    const data = this.#stored(original);
    this.#residents.set(id, data);
    this.#owners.set(data, (this.#owners.get(data) ?? 1) + 1);
  }

  release(ids: readonly number[]): void {
    for (const id of ids) {
      const data = this.#stored(id);
      this.#residents.delete(id);
      this.#disown(data);
    }
  }

  #disown(data: Data): void {
    const others = (this.#owners.get(data) ?? 1) - 1;
    if (others > 1) this.#owners.set(data, others);
    else this.#owners.delete(data);
    if (others > 0 || !(data instanceof Float32Array)) return;
    if (!this.#uploaded.has(data)) this.#pool.give(data);
    else if (data.byteLength === data.buffer.byteLength) freeMemory(data);
  }

  /** Gives up the memory of released tensors that waits for outputs to come. */
  trim(): void {
    this.#pool.clear();
  }

  memory(): RuntimeMemory {
    let residentBytes = 0;
    for (const data of new Set(this.#residents.values())) residentBytes += data.byteLength;
    return { residentBytes, residents: this.#residents.size };
  }

  async close(): Promise<void> {
    for (const session of this.#sessions.values()) await session.release();
    this.#sessions.clear();
    this.#residents.clear();
    this.#owners.clear();
    this.#pool.clear();
  }
}

function makeTensor(dtype: DType, data: Data, shape: readonly number[]): ort.Tensor {
  return dtype === 'f32'
    ? new ort.Tensor(ortType.f32, data as Float32Array, shape)
    : new ort.Tensor(ortType.i64, data as BigInt64Array, shape);
}

function unavailable(device: Device, cause: unknown): MalmenError {
  const fix =
    device === 'cuda'
      ? 'run `ONNXRUNTIME_NODE_INSTALL=1 node node_modules/onnxruntime-node/script/install.js` once to fetch the CUDA libraries'
      : 'use another device';
  const reason = cause instanceof Error ? cause.message.trim() : String(cause);
  return new MalmenError('unsupported', `device '${device}' is not available here; ${fix} (${reason})`, { cause });
}
