// The runtime's front: names, shapes and sizes are settled here, then a session host in this thread or in a worker computes.

import { bindDims, type Dim, evaluateDim, evaluateShape } from '../graph/dim.js';
import { dimInput, emitProgram, outputName, parameterInput } from '../graph/emit.js';
import { printProgram } from '../graph/print.js';
import type { Program } from '../graph/program.js';
import { type DType, elementCount, i64, type Tensor } from '../tensor.js';
import { HeapWatch } from './heap-watch.js';
import type {
  Compiled,
  Device,
  Feed,
  Feeds,
  Resident,
  RunOptions,
  RunResult,
  Runtime,
  RuntimeMemory,
  WeightBinding,
} from './runtime.js';
import type { SessionRequest, WireFeed, WireOutput } from './session-host.js';

type Data = Float32Array | BigInt64Array;

/** A session host as seen from here: every answer may come later. */
export interface AsyncHost {
  open(id: number, request: SessionRequest): Promise<void>;
  run(id: number, feeds: Readonly<Record<string, WireFeed>>, outputs: readonly WireOutput[]): Promise<Data[]>;
  upload(id: number, data: Data): Promise<void> | void;
  download(id: number, offset: number, count: number): Promise<Data> | Data;
  share(id: number, original: number): Promise<void> | void;
  release(ids: readonly number[]): Promise<void> | void;
  memory(): Promise<RuntimeMemory> | RuntimeMemory;
  trim(): Promise<void> | void;
  close(): Promise<void>;
}

export class HostedRuntime implements Runtime {
  readonly device: Device;
  readonly #host: AsyncHost;
  readonly #heap = new HeapWatch();
  readonly #compiled = new WeakMap<WeightBinding, Map<string, Promise<Compiled>>>();
  #nextId = 1;

  constructor(device: Device, host: AsyncHost) {
    this.device = device;
    this.#host = host;
  }

  compile(program: Program, binding: WeightBinding): Promise<Compiled> {
    const known = this.#compiled.get(binding) ?? new Map<string, Promise<Compiled>>();
    this.#compiled.set(binding, known);
    const text = printProgram(program);
    const compiled = known.get(text) ?? this.#open(program, binding);
    known.set(text, compiled);
    return compiled;
  }

  async #open(program: Program, { source, folder }: WeightBinding): Promise<Compiled> {
    const id = this.#nextId++;
    const { model, dims } = emitProgram(program, source);
    const optimize = program.parameters.every(({ attributes }) => {
      const weight = source(attributes.name);
      return weight === 'fed' || weight.dtype === 'f32';
    });
    await this.#host.open(id, { model, optimize, ...(folder === undefined ? {} : { folder }) });
    return { id, program, dims };
  }

  async run(compiled: Compiled, feeds: Feeds, options: RunOptions = {}): Promise<RunResult> {
    const { keep = [], into = {}, dims = {} } = options;
    const values = this.#bind(compiled, feeds, dims);
    const wire: Record<string, WireFeed> = { ...feeds };
    for (const dim of compiled.dims) wire[dimInput(dim)] = i64([evaluateDim(dim, values)], [1]);
    const outputs = [...compiled.program.outputs].map(([name, value]): WireOutput => {
      const output = { name: outputName(name), dtype: value.dtype, shape: evaluateShape(value.shape, values) };
      const target = into[name];
      if (target) return { ...output, into: checkTarget(output, target) };
      return keep === 'all' || keep.includes(name) ? { ...output, keepAs: this.#nextId++ } : output;
    });
    const returned = await this.#host.run(compiled.id, wire, outputs);
    await this.#heap.look(async () => (await this.#host.memory()).residentBytes);
    return new HostedResult(outputs, returned);
  }

  /** Checks every feed against the program and learns the named dimensions. */
  #bind({ program }: Compiled, feeds: Feeds, dims: Readonly<Record<string, number>>): Map<string, number> {
    const values = new Map(Object.entries(dims));
    const expected = [
      ...program.inputs.map(({ attributes, shape, dtype }) => ({ name: attributes.name, shape, dtype })),
      ...program.parameters.map(({ attributes, shape, dtype }) => ({
        name: parameterInput(attributes.name),
        shape,
        dtype,
      })),
    ];
    for (const { name, shape, dtype } of expected) {
      const feed = feeds[name];
      if (feed) bindFeed(name, shape, dtype, feed, values);
      else if (!name.startsWith(parameterInput(''))) throw new TypeError(`run: input '${name}' was not fed`);
    }
    for (const { name, shape } of expected) checkComposite(name, shape, feeds[name], values);
    return values;
  }

  async upload(tensor: Tensor, { move = false }: { readonly move?: boolean } = {}): Promise<Resident> {
    const id = this.#nextId++;
    // A view cannot move: it would drag its whole buffer along.
    const whole = tensor.data.byteLength === tensor.data.buffer.byteLength;
    await this.#host.upload(id, move && whole ? tensor.data : tensor.data.slice());
    return { id, offset: 0, dtype: tensor.dtype, shape: tensor.shape };
  }

  async download<T extends Tensor = Tensor>({ id, offset, dtype, shape }: Resident): Promise<T> {
    const data = await this.#host.download(id, offset, elementCount(shape));
    return { dtype, shape, data } as T;
  }

  async share(resident: Resident): Promise<Resident> {
    const id = this.#nextId++;
    await this.#host.share(id, resident.id);
    return { ...resident, id };
  }

  release(...residents: readonly Resident[]): void {
    if (residents.length > 0) void this.#host.release(residents.map(({ id }) => id));
  }

  async trim(): Promise<void> {
    await this.#host.trim();
  }

  async memory(): Promise<RuntimeMemory> {
    return this.#host.memory();
  }

  close(): Promise<void> {
    return this.#host.close();
  }
}

function bindFeed(name: string, shape: readonly Dim[], dtype: DType, feed: Feed, values: Map<string, number>): void {
  if (feed.dtype !== dtype) throw new TypeError(`run: input '${name}' must be ${dtype}, got ${feed.dtype}`);
  bindDims(shape, feed.shape, values, `run: input '${name}'`);
}

function checkComposite(
  name: string,
  shape: readonly Dim[],
  feed: Feed | undefined,
  values: Map<string, number>,
): void {
  const expected = feed && evaluateShape(shape, values);
  if (expected?.some((size, axis) => size !== feed!.shape[axis])) {
    throw new RangeError(`run: input '${name}' must be [${expected.join(', ')}], got [${feed!.shape.join(', ')}]`);
  }
}

function checkTarget({ name, dtype, shape }: WireOutput, target: Resident): Resident {
  if (target.dtype === dtype && shape.join() === target.shape.join()) return target;
  throw new RangeError(
    `run: ${name} is ${dtype} [${shape.join(', ')}], its target ${target.dtype} [${target.shape.join(', ')}]`,
  );
}

class HostedResult implements RunResult {
  readonly #host = new Map<string, Tensor>();
  readonly #kept = new Map<string, Resident>();

  constructor(outputs: readonly WireOutput[], returned: readonly Data[]) {
    let next = 0;
    for (const { name: emitted, dtype, shape, keepAs, into } of outputs) {
      const name = emitted.slice(outputName('').length);
      if (into) continue;
      if (keepAs === undefined) this.#host.set(name, { dtype, shape, data: returned[next++] } as Tensor);
      else this.#kept.set(name, { id: keepAs, offset: 0, dtype, shape });
    }
  }

  host<T extends Tensor = Tensor>(name: string): T {
    const tensor = this.#host.get(name);
    if (!tensor) throw new TypeError(`run: there is no host output '${name}'`);
    return tensor as T;
  }

  kept(name: string): Resident {
    const resident = this.#kept.get(name);
    if (!resident) throw new TypeError(`run: there is no kept output '${name}'`);
    return resident;
  }
}
