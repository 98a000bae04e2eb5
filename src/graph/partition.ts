// Cuts a computation in two by dependence on the edited weights: the frozen part, which runs once per batch whatever the
// edit, and the live part. Knows nothing of any model.

import { input } from './build.js';
import type { Value } from './ops.js';
import { type InputValue, makeProgram, type ParameterValue, type Program, withInputs } from './program.js';

export interface Partition {
  /**
   * Computes the crossing values (outputs `cross.0`, `cross.1`, ...) from inputs and frozen weights. Without outputs, and not
   * to be compiled, when nothing crosses.
   */
  readonly frozen: Program;
  /** Computes the wanted outputs from the crossing values (as inputs of the same names), inputs and weights. */
  readonly live: Program;
}

const isLeaf = (value: Value) => value.inputs.length === 0 && value.op !== 'causalMask';

/** A leaf that has a name. */
export type NamedLeaf = InputValue | ParameterValue;

/**
 * @param varies whether a leaf may change between runs over one batch: edited weights, and inputs that belong to a run.
 * An output that depends on nothing of the kind crosses like any other value.
 */
export function partition(outputs: Readonly<Record<string, Value>>, varies: (leaf: NamedLeaf) => boolean): Partition {
  // Merged first: two equal frozen values must cross once.
  const { order, outputs: merged } = makeProgram(outputs);
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
  return { frozen: makeProgram(frozenOutputs), live: makeProgram(liveOutputs) };
}

function liveValues(order: readonly Value[], varies: (leaf: NamedLeaf) => boolean): Set<Value> {
  const live = new Set<Value>();
  for (const value of order) {
    const source = (value.op === 'parameter' || value.op === 'input') && varies(value);
    if (source || value.inputs.some((operand) => live.has(operand))) live.add(value);
  }
  return live;
}
