// What a meta-learned editing method adds to the shared network and trainer: how rows become a shift, and how a weight
// gradient becomes cotangents of those rows. MALMEN and MEND differ in nothing else.

import type { Resident } from '../engine/runtime.js';
import type { Seed } from '../graph/grad.js';
import type { Value } from '../graph/ops.js';
import type { MatrixOps } from '../linalg/matrix-ops.js';
import type { NetworkValues } from './hyper-network.js';
import type { PreservedKeys } from './preserved-keys.js';

/** One layer's normal equation or sum, to be fed with rows chunk by chunk. */
export interface ShiftAccumulator {
  /** Rows of one chunk: raw keys [n, keySize] and the method's own row outputs. Takes no ownership. */
  add(keys: Resident, rows: Readonly<Record<string, Resident>>): Promise<void>;
  /** The shift, once all rows are in. */
  solve(): Promise<SolvedShift>;
  /** Gives up rows that will not be solved for; does nothing after {@link solve}. */
  release(): void;
}

export interface SolvedShift {
  /** [keySize, valueSize] */
  readonly shift: Resident;
  /** What the method needs to learn from the loss's gradient for the shifted weight ([keySize, valueSize]), which it takes over. */
  learn(weightGradient: Resident): Promise<ShiftLesson>;
  /** Hands the shift over to the caller and frees everything else. */
  takeShift(): Resident;
  /** Frees everything, the shift too. */
  release(): void;
}

export interface ShiftLesson {
  /** d(loss)/d(lambda), 0 for a method without one. */
  readonly lambdaGradient: number;
  /** Whether {@link feed} computes with the keys; otherwise it only counts their rows. */
  readonly readsKeys: boolean;
  /** The feed of the method's seeds for the chunk that starts at `firstRow`; `owned` when the caller must release it. */
  feed(keys: Resident, firstRow: number): Promise<{ readonly tensor: Resident; readonly owned: boolean }>;
  release(): void;
}

export interface AccumulatorOptions {
  readonly layer: string;
  readonly keySize: number;
  readonly valueSize: number;
  /** Key rows to come. */
  readonly rows: number;
  readonly lambda: number;
  /** Keys that the shift should not touch; for a method that solves. */
  readonly preserved?: PreservedKeys | undefined;
}

export interface MetaMethod {
  readonly name: 'malmen' | 'mend';
  /** Whether lambda is a parameter that learns. */
  readonly hasLambda: boolean;
  /** Whether its row outputs shrink with the error that is left, and its network sees small gradients at the usual size. */
  readonly damped: boolean;
  /**
   * Named row outputs that {@link ShiftAccumulator.add} needs; `keys` among them take the place of the captured ones.
   * @param hold of a damped method: how much more a row counts that asks for nothing, 1 unless given
   */
  rowOutputs(network: NetworkValues, hold?: number): Readonly<Record<string, Value>>;
  /** Name of the feed that {@link ShiftLesson.feed} gives. `row`: one row per captured row; `layer`: one matrix per layer. */
  readonly lessonInput: { readonly name: string; readonly per: 'row' | 'layer' };
  /** Where the meta-gradient enters the network's graph. */
  seeds(network: NetworkValues): readonly Seed[];
  accumulate(ops: MatrixOps<Resident>, options: AccumulatorOptions): ShiftAccumulator;
}
