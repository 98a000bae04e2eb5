// What the rest of the program may ask of a compute device: compile programs, run them, keep tensors beside it.
// Knows no model and no file format. Two implementations: in this thread, and behind a worker.

import type { WeightSource } from '../graph/emit.js';
import type { Program } from '../graph/program.js';
import type { DType, LazyTensor, Tensor, TensorOf } from '../tensor.js';

export const devices = ['cpu', 'webgpu', 'cuda'] as const;
export type Device = (typeof devices)[number];

/** A tensor that stays where the programs run. Made by a run or an upload; must be released once. */
export interface Resident {
  readonly id: number;
  /** First element inside the stored tensor: a view of whole rows shares its storage. */
  readonly offset: number;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

export type Feed = Tensor | Resident;
export type Feeds = Readonly<Record<string, Feed>>;

export interface Compiled {
  readonly id: number;
  readonly program: Program;
  /** Symbolic sizes that the compiled program asks for as inputs. */
  readonly dims: readonly (string | number)[];
}

export interface WeightBinding {
  readonly source: WeightSource;
  /** The folder that holds the mapped files; undefined when every weight is fed. */
  readonly folder?: string;
}

export interface RunOptions {
  /** Outputs that stay resident; all others come back as host tensors. */
  readonly keep?: 'all' | readonly string[];
  /**
   * Outputs that overwrite a resident or a view of one, of the output's shape. The program may read what it overwrites only
   * where its operation is done with an element before it writes there.
   */
  readonly into?: Readonly<Record<string, Resident>>;
  /** Named dimensions that no fed tensor tells by itself. */
  readonly dims?: Readonly<Record<string, number>>;
}

export interface RunResult {
  /** A host output. @throws TypeError for a name that stayed there or does not exist. */
  host<T extends Tensor = Tensor>(name: string): T;
  /** A kept output, owned by the caller. */
  kept(name: string): Resident;
}

/** A device: compiles programs, runs them, and keeps tensors beside them. */
export interface Runtime {
  readonly device: Device;
  /** Compiles once: the same program with the same binding object is compiled only the first time. @internal */
  compile(program: Program, binding: WeightBinding): Promise<Compiled>;
  /** Runs a compiled program. @internal */
  run(compiled: Compiled, feeds: Feeds, options?: RunOptions): Promise<RunResult>;
  /** Copies a tensor there; with `move` the tensor's memory itself goes, and the caller must not touch it any more. */
  upload(tensor: Tensor, options?: { readonly move?: boolean }): Promise<Resident>;
  /** Copies a tensor here; the resident stays. */
  download<T extends Tensor = Tensor>(resident: Resident): Promise<T>;
  /** A second owner of the same stored tensor: each is released once, the storage goes with the last. */
  share(resident: Resident): Promise<Resident>;
  /** Gives residents back, each exactly once. */
  release(...residents: readonly Resident[]): void;
  /** Bytes that residents hold now; storage with two owners counts once. */
  memory(): Promise<RuntimeMemory>;
  /** Gives back what is kept for outputs to come: between two jobs of different sizes. */
  trim(): Promise<void>;
  /** Ends the device's worker; what is still resident goes with it. */
  close(): Promise<void>;
}

/** What residents take up. */
export interface RuntimeMemory {
  readonly residentBytes: number;
  readonly residents: number;
}

/** A resident that is copied when it is read. */
export function lazyDownload(runtime: Runtime, resident: Resident): LazyTensor {
  return { dtype: 'f32', shape: resident.shape, read: () => runtime.download<TensorOf<'f32'>>(resident) };
}

/** Rows [start, end) of a resident, as a view: valid as long as the original, not released itself. */
export function residentRows(resident: Resident, start: number, end: number): Resident {
  const rowSize = resident.shape.slice(1).reduce((product, size) => product * size, 1);
  return { ...resident, offset: resident.offset + start * rowSize, shape: [end - start, ...resident.shape.slice(1)] };
}
