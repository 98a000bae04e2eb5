// Adds a shift to some weights of a computation. Knows no model: weights go by their names.

import { add, gemm, input, transpose } from './build.js';
import type { Value } from './ops.js';
import { makeProgram, withInputs } from './program.js';

export interface ShiftedWeight {
  /** Name of the input that carries the shift, [keySize, valueSize]. */
  readonly input: string;
  /** How the weight is stored; the shift is `in-out` always. */
  readonly orientation: 'in-out' | 'out-in';
}

/**
 * The same computation under W + S for each weight of `shifted`. A product x W becomes x W + x S, so that no sum of two large
 * matrices is made; any other use of the weight gets W + S itself.
 */
export function withShifts(
  outputs: ReadonlyMap<string, Value>,
  shifted: ReadonlyMap<string, ShiftedWeight>,
): Map<string, Value> {
  if (shifted.size === 0) return new Map(outputs);
  const { order, outputs: merged } = makeProgram(outputs);
  const rewritten = new Map<Value, Value>();
  const again = (value: Value) => rewritten.get(value)!;
  const shiftedOperand = (value: Value): Value => {
    const shift = shiftOf(value, shifted);
    return shift ? add(value, oriented(value, shift)) : again(value);
  };
  for (const value of order) {
    const [x, weight] = value.inputs;
    const inProduct = value.op === 'gemm' && weight && shiftOf(weight, shifted) && !shiftOf(x!, shifted);
    const replaced = inProduct
      ? shiftedProduct(value, value.inputs.map(again), shifted)
      : withInputs(value, value.inputs.map(shiftedOperand));
    rewritten.set(value, replaced);
  }
  return new Map([...merged].map(([name, value]) => [name, again(value)]));
}

function shiftOf(value: Value, shifted: ReadonlyMap<string, ShiftedWeight>): ShiftedWeight | undefined {
  return value.op === 'parameter' ? shifted.get(value.attributes.name) : undefined;
}

/** The shift in the weight's layout. */
function oriented(weight: Value, { input: name, orientation }: ShiftedWeight): Value {
  const [rows, columns] = weight.shape as readonly [number, number];
  return orientation === 'in-out' ? input(name, [rows, columns]) : transpose(input(name, [columns, rows]), [1, 0]);
}

/** alpha op(x) op(W) + c, then alpha op(x) op(S) added. */
function shiftedProduct(
  value: Value & { readonly op: 'gemm' },
  inputs: readonly Value[],
  shifted: ReadonlyMap<string, ShiftedWeight>,
): Value {
  const weight = inputs[1]!;
  const { input: name, orientation } = shiftOf(weight, shifted)!;
  const [rows, columns] = weight.shape as readonly [number, number];
  const turned = orientation === 'out-in';
  const shift = input(name, turned ? [columns, rows] : [rows, columns]);
  const { transposeA, transposeB, alpha } = value.attributes;
  const plus = withInputs(value, inputs);
  return gemm(inputs[0]!, shift, { transposeA, transposeB: transposeB !== turned, alpha, plus });
}
