// Runs an editable model block after block over weights that stay mapped in their files: one small session per block and
// direction, so that no more than one block's weights are ever held as float32. Knows no editor.

import type { MemoryMode } from '../models/model.js';
import { scalar, type Tensor } from '../tensor.js';
import {
  type BlockComputation,
  type BlockPrograms,
  gradientName,
  keysName,
  shiftInput,
  valueGradientName,
} from './block-programs.js';
import type { LayerGroup } from './layer-group.js';
import type { TokenChoice } from './lm-programs.js';
import { type GivenWeights, runSequence, type SequenceResult } from './program-sequence.js';
import { residentMatrices } from './resident-matrix.js';
import type { Feed, Resident, Runtime, WeightBinding } from './runtime.js';

type Residents = ReadonlyMap<string, Resident>;

/** What a run is fed with besides weights: the model's inputs and labels, and the sizes that no tensor tells. */
export interface BlockBatch {
  readonly tensors: Readonly<Record<string, Tensor>>;
  readonly dims: Readonly<Record<string, number>>;
}

/** The values that cross from the frozen part into the live one; owned by the caller. */
export interface FrozenValues {
  readonly frozenId: number;
  readonly crossing: Readonly<Record<string, Resident>>;
}

export interface BlockGradientRequest {
  readonly scale: number;
  readonly before?: Resident;
  /** By layer; taken over. */
  readonly sums?: Residents;
}

/** A shift for each layer that has one, by layer name, [keySize, valueSize]: the other layers have their base weights. */
export type LayerShifts = Residents;

export class BlockSchedule {
  readonly #runtime: Runtime;
  readonly #programs: BlockPrograms;
  readonly #binding: WeightBinding;
  readonly #givenWeights: GivenWeights;
  readonly #computations = new Map<string, BlockComputation>();
  /** Texts of the frozen parts; their places are the ids. */
  readonly #frozenTexts: string[] = [];

  /** `binding` maps every weight that can be mapped; `givenWeights` are the others, to be fed. */
  constructor(runtime: Runtime, programs: BlockPrograms, binding: WeightBinding, givenWeights: GivenWeights) {
    this.#runtime = runtime;
    this.#programs = programs;
    this.#binding = binding;
    this.#givenWeights = givenWeights;
  }

  /** Runs the frozen part for losses, logits and predictions. */
  freeze(batch: BlockBatch): Promise<FrozenValues> {
    return this.#freeze(this.#predict(new Map()), batch);
  }

  async #freeze(
    computation: BlockComputation,
    { tensors, dims }: BlockBatch,
    extra: Readonly<Record<string, Feed>> = {},
  ): Promise<FrozenValues> {
    const run = { binding: this.#binding, givenWeights: this.#givenWeights, feeds: { ...tensors, ...extra }, dims };
    const { kept } = await runSequence(this.#runtime, computation.frozen, run);
    return { frozenId: this.#frozenId(computation), crossing: Object.fromEntries(kept) };
  }

  /** A set of weights that goes on after its shift was released: blocks add the shift where they use it. */
  async keep(shift: Residents): Promise<Map<string, Resident>> {
    const kept = new Map<string, Resident>();
    for (const [layer, change] of shift) kept.set(layer, await this.#runtime.share(change));
    return kept;
  }

  /** Keys and value gradients of each group of layers, layer after layer; owned by the caller. */
  async capture(
    batch: BlockBatch,
    tokens: TokenChoice,
    scale: number,
    { shifts, groups }: { readonly shifts: LayerShifts; readonly groups: readonly LayerGroup[] },
  ) {
    const computation = this.#computation(`capture ${tokens}`, shifts, (shifted) =>
      this.#programs.capture(tokens, shifted),
    );
    const frozen = await this.#freeze(computation, batch);
    try {
      const { host, kept } = await this.#live(computation, { batch, frozen, shifts }, { lossScale: scalar(scale) });
      const stacked = (layers: LayerGroup['layers'], nameOf: (layer: string) => string) =>
        this.#stack(layers.map(({ name }) => kept.get(nameOf(name))!));
      const rows = [];
      for (const { layers } of groups) {
        const keys = await stacked(layers, keysName);
        rows.push({ keys, valueGradients: await stacked(layers, valueGradientName) });
      }
      return { loss: lossOf(host), rows };
    } finally {
      this.#runtime.release(...Object.values(frozen.crossing));
    }
  }

  /** Rows on top of each other; the parts are released. */
  async #stack(parts: readonly Resident[]): Promise<Resident> {
    if (parts.length === 1) return parts[0]!;
    const stacked = await residentMatrices(this.#runtime).stackRows(parts);
    this.#runtime.release(...parts);
    return stacked;
  }

  /** One step of writing; the earlier memory is released, the new one is the caller's. */
  async step(
    batch: BlockBatch,
    mode: MemoryMode,
    output: 'predicted' | 'logits',
    { shifts, earlier }: { readonly shifts: LayerShifts; readonly earlier: Residents },
  ): Promise<{ readonly said: Tensor; readonly memory: Residents }> {
    const computation = this.#computation(`step ${mode} ${output}`, shifts, (shifted) =>
      this.#programs.step(mode, output, shifted),
    );
    const fed = Object.fromEntries(earlier);
    const frozen = await this.#freeze(computation, batch, fed);
    try {
      const { host, kept } = await this.#live(computation, { batch, frozen, shifts }, fed);
      const memory = new Map([...kept].filter(([name]) => name !== output));
      return { said: host.get(output) ?? (await this.#toHost(kept.get(output)!)), memory };
    } finally {
      this.#runtime.release(...Object.values(frozen.crossing), ...earlier.values());
    }
  }

  async #toHost(resident: Resident): Promise<Tensor> {
    const tensor = await this.#runtime.download(resident);
    this.#runtime.release(resident);
    return tensor;
  }

  async lossGradient(
    state: LiveState,
    { scale, before, sums }: BlockGradientRequest,
  ): Promise<{ loss: number; gradient(layer: string): Resident }> {
    const kind = before ? 'divergence' : 'answer';
    const accumulate = sums !== undefined;
    const computation = this.#computation(`${kind} ${accumulate}`, state.shifts, (shifted) =>
      this.#programs.lossGradient(kind, shifted, accumulate),
    );
    const extra = { lossScale: scalar(scale), ...(before ? { logitsBefore: before } : {}) };
    const handedOver = new Map([...(sums ?? [])].map(([layer, sum]) => [gradientName(layer), sum]));
    const { host, kept } = await this.#live(computation, state, extra, handedOver);
    return { loss: lossOf(host), gradient: (layer) => kept.get(gradientName(layer))! };
  }

  async logits(state: LiveState): Promise<Resident> {
    const computation = this.#computation('logits', state.shifts, (shifted) => this.#programs.logits(shifted));
    return (await this.#live(computation, state, {})).kept.get('logits')!;
  }

  /** `predicted` and `nll`. */
  async predict(state: LiveState): Promise<ReadonlyMap<string, Tensor>> {
    return (await this.#live(this.#predict(state.shifts), state, {})).host;
  }

  #predict(shifts: LayerShifts): BlockComputation {
    return this.#computation('predict', shifts, (shifted) => this.#programs.predict(shifted));
  }

  #computation(
    name: string,
    shifts: LayerShifts,
    make: (shifted: ReadonlySet<string>) => BlockComputation,
  ): BlockComputation {
    const shifted = new Set(shifts.keys());
    const key = `${name} ${[...shifted]}`;
    const computation = this.#computations.get(key) ?? make(shifted);
    this.#computations.set(key, computation);
    return computation;
  }

  #frozenId({ frozenText }: BlockComputation): number {
    const known = this.#frozenTexts.indexOf(frozenText);
    return known < 0 ? this.#frozenTexts.push(frozenText) - 1 : known;
  }

  #live(
    computation: BlockComputation,
    { batch, frozen, shifts }: LiveState,
    extra: Readonly<Record<string, Feed>>,
    handedOver: Residents = new Map(),
  ): Promise<SequenceResult> {
    if (this.#frozenId(computation) !== frozen.frozenId)
      throw new TypeError('the batch was frozen for another computation');
    const shiftFeeds = Object.fromEntries([...shifts].map(([layer, shift]) => [shiftInput(layer), shift]));
    return runSequence(this.#runtime, computation.live, {
      binding: this.#binding,
      givenWeights: this.#givenWeights,
      feeds: { ...batch.tensors, ...frozen.crossing, ...shiftFeeds, ...extra },
      handedOver,
      dims: batch.dims,
    });
  }
}

/** A frozen batch and the weights to go on with. */
export interface LiveState {
  readonly batch: BlockBatch;
  readonly frozen: FrozenValues;
  readonly shifts: LayerShifts;
}

const lossOf = (host: ReadonlyMap<string, Tensor>) => host.get('loss')!.data[0] as number;
