// Cuts a computation in two by dependence on the edited weights: the frozen part, which runs once per batch whatever the
// edit, and the live part. Knows nothing of any model.

import { input } from './build.js';
import type { Value } from './ops.js';
import {
  type InputValue,
  makeProgram,
  type ParameterValue,
  type Program,
  topologicalOrder,
  withInputs,
} from './program.js';

export interface Partition {
  /**
   * Computes the crossing values (outputs `cross.0`, `cross.1`, ...) from inputs and frozen weights. Without outputs, and not
   * to be compiled, when nothing crosses.
   */
  readonly frozen: Program;
  /** Computes the wanted outputs from the crossing values (as inputs of the same names), inputs and weights. */
  readonly live: Program;
}

/** A partition with the values that were marked, each where it is computed. Marks that no output needs are gone. */
export interface MarkedPartition extends Partition {
  readonly frozenMarks: readonly Value[];
  readonly liveMarks: readonly Value[];
}

/** Computed from nothing: a leaf may be had anywhere, it need not cross. */
export const isLeaf = (value: Value) => value.inputs.length === 0 && value.op !== 'causalMask';

/** A leaf that has a name. */
export type NamedLeaf = InputValue | ParameterValue;

/**
 * @param varies whether a leaf may change between runs over one batch: edited weights, and inputs that belong to a run.
 * An output that depends on nothing of the kind crosses like any other value.
 * @param marks values (places to cut at, in order) that the caller wants to find again on their side
 */
export function partition(
  outputs: Readonly<Record<string, Value>> | ReadonlyMap<string, Value>,
  varies: (leaf: NamedLeaf) => boolean,
  marks: readonly Value[] = [],
): MarkedPartition {
  // Merged first: two equal frozen values must cross once.
  const { order, outputs: merged, marks: markedValues } = mergeWithMarks(outputs, marks);
  const live = liveValues(order, varies);
  const crossing = new Map<Value, Value>();
  const cross = (value: Value): Value => {
    const known = crossing.get(value) ?? input(`cross.${crossing.size}`, value.shape, value.dtype);
    crossing.set(value, known);
    return known;
  };
  const rewritten = new Map<Value, Value>();
  const liveOperand = (value: Value): Value => rewritten.get(value) ?? (isLeaf(value) ? value : cross(value));
  for (const value of order) {
    if (live.has(value)) rewritten.set(value, withInputs(value, value.inputs.map(liveOperand)));
  }
  const liveOutputs = new Map([...merged].map(([name, value]) => [name, liveOperand(value)]));
  const frozenOutputs = new Map(
    [...crossing].map(([value, name]) => [(name.attributes as { name: string }).name, value]),
  );
  return {
    frozen: makeProgram(frozenOutputs),
    live: makeProgram(liveOutputs),
    frozenMarks: markedValues.filter((value) => !live.has(value)),
    liveMarks: markedValues.flatMap((value) => rewritten.get(value) ?? []),
  };
}

/** What the outputs need, equal values merged, and those of the marks that are among it. */
export function mergeWithMarks(
  outputs: Readonly<Record<string, Value>> | ReadonlyMap<string, Value>,
  marks: readonly Value[],
) {
  const named = [...(outputs instanceof Map ? outputs : Object.entries(outputs))] as [string, Value][];
  const all = makeProgram(new Map([...named, ...marks.map((mark, at) => [`mark ${at}`, mark] as const)]));
  const merged = new Map(named.map(([name]) => [name, all.outputs.get(name)!]));
  const order = topologicalOrder([...merged.values()]);
  const needed = new Set(order);
  const found = marks.map((_, at) => all.outputs.get(`mark ${at}`)!).filter((mark) => needed.has(mark));
  return { order, outputs: merged, marks: [...new Set(found)] };
}

function liveValues(order: readonly Value[], varies: (leaf: NamedLeaf) => boolean): Set<Value> {
  const live = new Set<Value>();
  for (const value of order) {
    const source = (value.op === 'parameter' || value.op === 'input') && varies(value);
    if (source || value.inputs.some((operand) => live.has(operand))) live.add(value);
  }
  return live;
}
