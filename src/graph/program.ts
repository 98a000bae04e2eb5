// A program: named outputs and everything they need, in an order in which it can be computed. Equal expressions are
// merged, whatever no output needs is left out.

import { makeValue } from './build.js';
import type { OpAttributes, OpName, Value, ValueOf } from './ops.js';
import { typeText } from './shape-rules.js';

export type InputValue = ValueOf<'input'>;
export type ParameterValue = ValueOf<'parameter'>;

export interface Program {
  readonly inputs: readonly InputValue[];
  readonly parameters: readonly ParameterValue[];
  readonly outputs: ReadonlyMap<string, Value>;
  /** Every value, operands before results. */
  readonly order: readonly Value[];
}

/** Makes a program of named outputs. Equal subexpressions become one value. */
export function makeProgram(outputs: Readonly<Record<string, Value>> | ReadonlyMap<string, Value>): Program {
  const named = [...(outputs instanceof Map ? outputs : Object.entries(outputs))] as [string, Value][];
  const canonical = mergeEqual(topologicalOrder(named.map(([, value]) => value)));
  const merged = new Map(named.map(([name, value]) => [name, canonical.get(value)!]));
  const order = topologicalOrder([...merged.values()]);
  assertOneMeaning(order);
  return {
    inputs: order.filter((value): value is InputValue & Value => value.op === 'input'),
    parameters: order.filter((value): value is ParameterValue & Value => value.op === 'parameter'),
    outputs: merged,
    order,
  };
}

/** A name is fed once, so it cannot stand for leaves of two types. */
function assertOneMeaning(order: readonly Value[]): void {
  const types = new Map<string, string>();
  for (const value of order) {
    if (value.op !== 'input' && value.op !== 'parameter') continue;
    const leaf = `${value.op} '${value.attributes.name}'`;
    const type = typeText(value);
    const known = types.get(leaf) ?? type;
    if (known !== type) throw new TypeError(`program: ${leaf} must have one type, got ${known} and ${type}`);
    types.set(leaf, type);
  }
}

/** All values that `roots` need, each after its operands; depth first, so the order is the same every time. */
export function topologicalOrder(roots: readonly Value[]): Value[] {
  const order: Value[] = [];
  const seen = new Set<Value>();
  // An explicit stack: gradient graphs of deep models are deeper than the call stack is safe for.
  const stack: { readonly value: Value; next: number }[] = [];
  const visit = (value: Value) => {
    if (seen.has(value)) return;
    seen.add(value);
    stack.push({ value, next: 0 });
  };
  for (const root of roots) {
    visit(root);
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const operand = top.value.inputs[top.next++];
      if (operand) visit(operand);
      else order.push(stack.pop()!.value);
    }
  }
  return order;
}

/** For every value of `order`, the one value that stands for all equal to it. */
function mergeEqual(order: readonly Value[]): Map<Value, Value> {
  const numbers = new Map<Value, number>();
  const byKey = new Map<string, Value>();
  const canonical = new Map<Value, Value>();
  for (const value of order) {
    const inputs = value.inputs.map((operand) => canonical.get(operand)!);
    const key = `${value.op}(${inputs.map((operand) => numbers.get(operand)).join()})${attributesKey(value)}`;
    let merged = byKey.get(key);
    if (!merged) {
      merged = withInputs(value, inputs);
      byKey.set(key, merged);
      numbers.set(merged, numbers.size);
    }
    canonical.set(value, merged);
  }
  return canonical;
}

/** Numbers are written as text, because JSON has no infinity. */
function attributesKey({ attributes }: Value): string {
  return JSON.stringify(attributes, (_, setting: unknown) => (typeof setting === 'number' ? `${setting}` : setting));
}

/** The same operation on other operands; the value itself when nothing changes. */
export function withInputs(value: Value, inputs: readonly Value[]): Value {
  if (inputs.every((operand, index) => operand === value.inputs[index])) return value;
  return makeValue<OpName>(value.op, inputs, value.attributes as OpAttributes[OpName]);
}
