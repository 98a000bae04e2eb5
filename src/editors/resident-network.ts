// A hyper-network whose parameters live beside the runtime: runs it over stacked rows, and its gradient. Rows are those of
// all layers of one shape, layer after layer.

import type { CapturedRows } from '../engine/editable-model.js';
import { layerRows } from '../engine/layer-group.js';
import { residentMatrices } from '../engine/resident-matrix.js';
import { type Compiled, type Feeds, type Resident, type Runtime, residentRows } from '../engine/runtime.js';
import { allFed } from '../engine/weight-shift.js';
import * as b from '../graph/build.js';
import { parameterInput } from '../graph/emit.js';
import { pullBack } from '../graph/grad.js';
import type { Value } from '../graph/ops.js';
import { makeProgram } from '../graph/program.js';
import { f32, i64, type TensorOf } from '../tensor.js';
import { type HyperNetworkShape, networkValues, statisticsCount } from './hyper-network.js';
import type { MetaMethod } from './meta-method.js';
import { RunningMoments } from './running-moments.js';

export type NetworkTensors = ReadonlyMap<string, TensorOf<'f32'>>;
export type NetworkResidents = ReadonlyMap<string, Resident>;

/** A range of the stacked rows. */
interface Piece {
  readonly start: number;
  readonly end: number;
  /** The layer that it lies in, where it lies in one. */
  readonly layer: number;
}

export class ResidentNetwork {
  readonly shape: HyperNetworkShape;
  /** Of all layers' rows, or one for each layer: as the shape says. */
  readonly moments: readonly RunningMoments[];
  readonly #runtime: Runtime;
  readonly #method: MetaMethod;
  readonly #rowLimit: number;
  readonly #parameters: Map<string, Resident>;

  private constructor(
    runtime: Runtime,
    method: MetaMethod,
    options: ResidentNetworkOptions,
    parameters: Map<string, Resident>,
  ) {
    this.shape = options.shape;
    this.moments = options.moments;
    this.#runtime = runtime;
    this.#method = method;
    this.#rowLimit = options.rowLimit;
    this.#parameters = parameters;
  }

  /** Takes over the tensors' memory. */
  static async open(
    runtime: Runtime,
    method: MetaMethod,
    tensors: NetworkTensors,
    options: ResidentNetworkOptions,
  ): Promise<ResidentNetwork> {
    const parameters = new Map<string, Resident>();
    for (const [name, tensor] of tensors) parameters.set(name, await runtime.upload(tensor, { move: true }));
    return new ResidentNetwork(runtime, method, options, parameters);
  }

  get parameters(): NetworkResidents {
    return this.#parameters;
  }

  /** Takes a new value of one parameter and releases the old one at once: two sets of parameters are never held. */
  replaceParameter(name: string, parameter: Resident): void {
    const old = this.#parameters.get(name);
    if (!old) throw new TypeError(`the network has no parameter '${name}'`);
    this.#parameters.set(name, parameter);
    this.#runtime.release(old);
  }

  /** lambda of every layer of the group. */
  async lambdas(): Promise<Float64Array> {
    const { data } = await this.#runtime.download<TensorOf<'f32'>>(this.#parameters.get('lamda.weight')!);
    return Float64Array.from(data, Math.exp);
  }

  /** Merges the rows into the running mean and deviation: each layer's into its own where they are kept by layer. */
  async observe({ keys, valueGradients, counts }: CapturedRows): Promise<void> {
    if (this.shape.statistics !== 'layer') return this.#observe(this.moments[0]!, keys, valueGradients);
    for (const [at, moments] of this.moments.entries()) {
      if (counts[at] !== 0)
        await this.#observe(moments, layerRows(keys, counts, at), layerRows(valueGradients, counts, at));
    }
  }

  async #observe(moments: RunningMoments, keys: Resident, valueGradients: Resident): Promise<void> {
    const raw = b.concat(
      [b.input('keys', ['rows', this.shape.keySize]), b.input('valueGradients', ['rows', this.shape.valueSize])],
      1,
    );
    const sum = b.reduceSum(raw, [0], true); // [1, width]
    const mean = b.mul(sum, b.input('inverseCount', []));
    const deviations = b.sub(raw, mean);
    const program = makeProgram({ mean, squares: b.reduceSum(b.mul(deviations, deviations), [0], true) });
    const compiled = await this.#runtime.compile(program, allFed);
    const count = keys.shape[0]!;
    const result = await this.#runtime.run(compiled, { keys, valueGradients, inverseCount: f32([1 / count], []) });
    moments.merge({
      count,
      mean: result.host<TensorOf<'f32'>>('mean').data,
      squares: result.host<TensorOf<'f32'>>('squares').data,
    });
  }

  /** The method's row outputs for stacked rows; owned by the caller. */
  async rowOutputs(captured: CapturedRows, hold?: number): Promise<Record<string, Resident>> {
    const outputs = this.#method.rowOutputs(networkValues(this.shape, { scaledUp: this.#method.damped }), hold);
    const compiled = await this.#runtime.compile(makeProgram(outputs), allFed);
    const parts: Record<string, Resident>[] = [];
    for (const piece of this.#pieces(captured)) {
      const result = await this.#runtime.run(compiled, this.#feeds(compiled, captured, piece), { keep: 'all' });
      parts.push(Object.fromEntries(Object.keys(outputs).map((name) => [name, result.kept(name)])));
    }
    return this.#stack(parts);
  }

  async #stack(parts: readonly Record<string, Resident>[]): Promise<Record<string, Resident>> {
    if (parts.length === 1) return parts[0]!;
    const stacked: Record<string, Resident> = {};
    for (const name of Object.keys(parts[0]!)) {
      const pieces = parts.map((part) => part[name]!);
      stacked[name] = await residentMatrices(this.#runtime).stackRows(pieces);
      this.#runtime.release(...pieces);
    }
    return stacked;
  }

  /**
   * Gradients of all parameters except lambda, for one chunk: `lessons` are the feeds of the method's seeds, one matrix of
   * all stacked rows or one per layer. Added to `sums` where given, which are released.
   */
  async gradient(
    captured: CapturedRows,
    lessons: readonly Resident[],
    sums: NetworkResidents | undefined,
  ): Promise<NetworkResidents> {
    let total = sums;
    const { name, per } = this.#method.lessonInput;
    for (const piece of this.#pieces(captured)) {
      const compiled = await this.#gradientProgram(total !== undefined);
      const lesson = per === 'row' ? residentRows(lessons[0]!, piece.start, piece.end) : lessons[piece.layer]!;
      const accumulated = Object.fromEntries([...(total ?? [])].map(([parameter, sum]) => [`sum:${parameter}`, sum]));
      const feeds = { ...this.#feeds(compiled, captured, piece), ...accumulated, [name]: lesson };
      const result = await this.#runtime.run(compiled, feeds, { keep: 'all' });
      if (total) this.#runtime.release(...total.values());
      total = new Map([...compiled.program.outputs.keys()].map((parameter) => [parameter, result.kept(parameter)]));
    }
    return total!;
  }

  #gradientProgram(accumulate: boolean): Promise<Compiled> {
    const merged = mergedSeeds(this.#method, this.shape);
    const found = pullBack(merged.seeds, [...merged.parameters.values()]);
    const outputs = [...merged.parameters.keys()].map((name, at): [string, Value] => {
      const gradient = found[at]!;
      return [name, accumulate ? b.addTo(gradient, b.input(`sum:${name}`, gradient.shape)) : gradient];
    });
    return this.#runtime.compile(makeProgram(new Map(outputs)), allFed);
  }

  #feeds({ program }: Compiled, captured: CapturedRows, { start, end }: Piece): Feeds {
    const named = program.parameters.map(
      ({ attributes: { name } }) => [parameterInput(name), this.#parameters.get(name)!] as const,
    );
    const layer = captured.counts.flatMap((count, at) => Array.from({ length: count }, () => at)).slice(start, end);
    return {
      ...Object.fromEntries(named),
      keys: residentRows(captured.keys, start, end),
      valueGradients: residentRows(captured.valueGradients, start, end),
      layer: i64(layer, [end - start]),
      mean: stackedRows(this.moments.map(({ mean }) => mean)),
      deviation: stackedRows(this.moments.map((moments) => moments.deviation())),
    };
  }

  /** Ranges of at most `rowLimit` rows; inside one layer where the lesson differs by layer. */
  #pieces({ counts }: CapturedRows): Piece[] {
    const total = counts.reduce((sum, count) => sum + count, 0);
    const spans = this.#method.lessonInput.per === 'layer' ? counts : [total];
    const pieces: Piece[] = [];
    let first = 0;
    for (const [layer, span] of spans.entries()) {
      for (let start = first; start < first + span; start += this.#rowLimit) {
        pieces.push({ start, end: Math.min(start + this.#rowLimit, first + span), layer });
      }
      first += span;
    }
    return pieces;
  }

  close(): void {
    this.#runtime.release(...this.#parameters.values());
    this.#parameters.clear();
  }
}

/** [rows, width] */
function stackedRows(rows: readonly ArrayLike<number>[]): TensorOf<'f32'> {
  const width = rows[0]!.length;
  const data = new Float32Array(rows.length * width);
  for (const [at, row] of rows.entries()) data.set(row, at * width);
  return f32(data, [rows.length, width]);
}

/** The statistics of a network that has seen nothing yet. */
export function emptyMoments(shape: HyperNetworkShape): RunningMoments[] {
  return Array.from({ length: statisticsCount(shape) }, () => new RunningMoments(shape.keySize + shape.valueSize));
}

export interface ResidentNetworkOptions {
  readonly shape: HyperNetworkShape;
  readonly moments: readonly RunningMoments[];
  /** Rows per run of the network: bounds its memory, never changes its result. */
  readonly rowLimit: number;
}

/** The method's seeds over one merged graph, and the parameters in it by name (those that the rows depend on). */
function mergedSeeds(method: MetaMethod, shape: HyperNetworkShape) {
  const seeds = method.seeds(networkValues(shape, { scaledUp: method.damped }));
  const flat = new Map(
    seeds.flatMap(
      ({ value, cotangent }, at) =>
        [
          [`value${at}`, value],
          [`cotangent${at}`, cotangent],
        ] as const,
    ),
  );
  const program = makeProgram(flat);
  const parameters = new Map(program.parameters.map((value) => [value.attributes.name, value as Value]));
  const merged = seeds.map((_, at) => ({
    value: program.outputs.get(`value${at}`)!,
    cotangent: program.outputs.get(`cotangent${at}`)!,
  }));
  return { seeds: merged, parameters };
}
