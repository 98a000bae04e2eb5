// How much memory a run of a program needs, from its shapes: an estimate by the lifetimes of its values. Knows no runtime.

import { type DimValues, evaluateShape } from './dim.js';
import type { OpName, Value } from './ops.js';
import type { Program } from './program.js';

export interface ProgramMemoryOptions {
  readonly dims: DimValues;
  /** Bytes that a run itself needs for a parameter: of its float32 copy, 0 where it is mapped or fed as float32. */
  readonly parameterBytes: (name: string) => number;
}

const elementBytes = { f32: 4, i64: 8 } as const;

export function valueBytes({ shape, dtype }: Value, dims: DimValues): number {
  return evaluateShape(shape, dims).reduce((product, size) => product * size, elementBytes[dtype]);
}

/** Results of its first operand's size that an operation holds besides its own while it runs. */
const temporaries: Partial<Readonly<Record<OpName, number>>> = {
  geluGradient: 4,
  crossEntropy: 1,
  crossEntropyGradient: 2,
  klDivergence: 3,
  logSoftmax: 1,
  scatterAddRows: 1,
};

/**
 * The most that is alive at once: results until their last use, outputs to the end, and the float32 copies of 16-bit weights
 * from the start (the runtime makes all of them first) to their last use. Inputs belong to the caller and do not count.
 */
export function programPeakBytes(program: Program, options: ProgramMemoryOptions): number {
  const { order, outputs } = program;
  const owners = storageOwners(order);
  const owner = (value: Value) => owners.get(value)!;
  const own = new Map([...new Set(owners.values())].map((value) => [value, ownBytes(value, program, options)]));
  const lastUse = new Map<Value, number>();
  for (const [at, value] of order.entries()) for (const used of value.inputs) lastUse.set(owner(used), at);
  for (const value of outputs.values()) lastUse.set(owner(value), Number.POSITIVE_INFINITY);
  let alive = program.parameters.reduce((sum, value) => sum + own.get(value as Value)!, 0);
  let peak = alive;
  for (const [at, value] of order.entries()) {
    if (owner(value) === value && value.op !== 'parameter') alive += own.get(value)!;
    const [first] = value.inputs;
    const temporary = first ? (temporaries[value.op] ?? 0) * valueBytes(first, options.dims) : 0;
    peak = Math.max(peak, alive + temporary);
    for (const used of new Set(value.inputs.map(owner))) if (lastUse.get(used) === at) alive -= own.get(used)!;
  }
  return peak;
}

/** The value whose storage each value uses: a reshape has its operand's. */
function storageOwners(order: readonly Value[]): Map<Value, Value> {
  const owners = new Map<Value, Value>();
  for (const value of order) owners.set(value, value.op === 'reshape' ? owners.get(value.inputs[0]!)! : value);
  return owners;
}

function ownBytes(value: Value, program: Program, { dims, parameterBytes }: ProgramMemoryOptions): number {
  if (value.op === 'input' || value.op === 'constant') return 0;
  if (value.op !== 'parameter') return valueBytes(value, dims);
  // Rows of a table are gathered as they are stored.
  const isCast = program.order.some(
    ({ op, inputs }) => inputs.includes(value) && !(op === 'gatherRows' && inputs[0] === value),
  );
  return isCast ? parameterBytes(value.attributes.name) : 0;
}
