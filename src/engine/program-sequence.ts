// Programs that run one after another and hand values to each other by name: an output stays beside the runtime until the last
// program that reads it has run. Knows no model.

import { parameterInput } from '../graph/emit.js';
import type { Program } from '../graph/program.js';
import type { Tensor } from '../tensor.js';
import type { Compiled, Feed, Resident, Runtime, WeightBinding } from './runtime.js';

/** An output may have the name of an input of its own program: it takes the place of that value. */
export interface ProgramSequence {
  readonly programs: readonly Program[];
  /** Outputs that come back to the host; all others stay resident. */
  readonly host: ReadonlySet<string>;
  /** Resident outputs that outlive the sequence. */
  readonly kept: ReadonlySet<string>;
}

/** The weights of a program that its binding leaves to be fed. */
export type GivenWeights = (compiled: Compiled) => Promise<Readonly<Record<string, Feed>>>;

export interface SequenceRun {
  readonly binding: WeightBinding;
  readonly givenWeights: GivenWeights;
  /** What is fed whenever a program asks for it; stays the caller's. */
  readonly feeds: Readonly<Record<string, Feed>>;
  /** Values that the sequence takes over: released or replaced as if a program had made them. */
  readonly handedOver?: ReadonlyMap<string, Resident>;
  readonly dims: Readonly<Record<string, number>>;
}

export interface SequenceResult {
  readonly host: ReadonlyMap<string, Tensor>;
  /** Owned by the caller. */
  readonly kept: ReadonlyMap<string, Resident>;
}

/** Compiles what was not compiled before, one program at a time, and runs all. */
export async function runSequence(
  runtime: Runtime,
  { programs, host, kept }: ProgramSequence,
  { binding, givenWeights, feeds, handedOver = new Map(), dims }: SequenceRun,
): Promise<SequenceResult> {
  const lastUse = lastUses(programs);
  const values = new Map<string, Resident>(handedOver);
  const returned = new Map<string, Tensor>();
  const release = (names: Iterable<string>) => {
    for (const name of names) {
      const value = values.get(name);
      if (value) runtime.release(value);
      values.delete(name);
    }
  };
  try {
    for (const [at, program] of programs.entries()) {
      const compiled = await runtime.compile(program, binding);
      const names = [...program.outputs.keys()];
      const keep = names.filter((name) => !host.has(name));
      const own = pickFeeds(compiled, { ...feeds, ...(await givenWeights(compiled)), ...Object.fromEntries(values) });
      const result = await runtime.run(compiled, own, { keep, dims });
      const used = inputNames(program).filter((name) => lastUse.get(name) === at && !kept.has(name));
      release([...used, ...keep]);
      for (const name of keep) values.set(name, result.kept(name));
      for (const name of names) if (host.has(name)) returned.set(name, result.host(name));
      release(keep.filter((name) => !kept.has(name) && (lastUse.get(name) ?? -1) <= at));
    }
  } catch (error) {
    release(values.keys());
    throw error;
  }
  return { host: returned, kept: values };
}

const inputNames = ({ inputs }: Program) => inputs.map(({ attributes }) => attributes.name);

/** Index of the last program that reads each input. */
function lastUses(programs: readonly Program[]): Map<string, number> {
  const last = new Map<string, number>();
  for (const [at, program] of programs.entries()) for (const name of inputNames(program)) last.set(name, at);
  return last;
}

/** The feeds that a program asks for. */
export function pickFeeds({ program }: Compiled, feeds: Readonly<Record<string, Feed>>): Record<string, Feed> {
  const wanted = [
    ...inputNames(program),
    ...program.parameters.map(({ attributes }) => parameterInput(attributes.name)),
  ];
  return Object.fromEntries(wanted.flatMap((name) => (Object.hasOwn(feeds, name) ? [[name, feeds[name]!]] : [])));
}
