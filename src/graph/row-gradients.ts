// Gradients of some rows only: where the wanted rows reach the loss through one another alone, no other row of a matrix needs
// a cotangent, and whatever treats rows one by one goes backward for those rows. Knows no model.

import { gatherRows, scatterAddRows } from './build.js';
import type { Dim } from './dim.js';
import type { OpName, Value } from './ops.js';
import { withInputs } from './program.js';

/** The rows whose cotangents are wanted, of every matrix with `axis` rows. */
export interface WantedRows {
  readonly axis: Dim;
  /** i64 [wanted], none twice. */
  readonly indices: Value;
}

/** Whether a value's cotangent has the wanted rows only. */
export const isRestricted = ({ shape }: Value, { axis }: WantedRows) => shape.length === 2 && shape[0] === axis;

/** The shape of a value's cotangent. */
export function cotangentShape(value: Value, rows?: WantedRows): readonly Dim[] {
  return rows && isRestricted(value, rows) ? [rows.indices.shape[0]!, value.shape[1]!] : value.shape;
}

/** [axis, n] -> [wanted, n] */
export function takeRows(matrix: Value, { indices }: WantedRows): Value {
  const wasPlaced = matrix.op === 'scatterAddRows' && isSameLeaf(matrix.inputs[1]!, indices);
  return wasPlaced ? matrix.inputs[0]! : gatherRows(matrix, indices);
}

/** [wanted, n] -> [axis, n], zero elsewhere */
export function placeRows(wanted: Value, { axis, indices }: WantedRows): Value {
  return scatterAddRows(wanted, indices, axis);
}

function isSameLeaf(a: Value, b: Value): boolean {
  return a === b || (a.op === 'input' && b.op === 'input' && a.attributes.name === b.attributes.name);
}

/**
 * Operations of which a result with the rows of its operands has each of them from the same row. Of those that have an axis,
 * only columns can be meant then: along axis 0 the result would have another number of rows.
 */
const byRow: ReadonlySet<OpName> = new Set<OpName>([
  ...(['add', 'sub', 'mul', 'div', 'exp', 'log', 'sqrt', 'cos', 'sin', 'tanh', 'sigmoid', 'relu', 'gelu'] as const),
  ...(['softmax', 'logSoftmax', 'layerNorm', 'rmsNorm'] as const),
  ...(['split', 'placePart', 'concat', 'slice', 'pad'] as const),
]);

/** Whether each row of a restricted value follows from the same row of its operands, and from operands without such rows. */
function isByRow({ op, inputs }: Value, rows: WantedRows): boolean {
  if (!inputs.every((operand) => isRestricted(operand, rows) || !operand.shape.includes(rows.axis))) return false;
  return op === 'gemm' ? isRestricted(inputs[0]!, rows) : byRow.has(op);
}

/** The same operation for the wanted rows alone, [wanted, n]; undefined where rows depend on other rows. */
export function forWantedRows(value: Value, rows: WantedRows): Value | undefined {
  if (!isByRow(value, rows)) return undefined;
  return withInputs(
    value,
    value.inputs.map((operand) => (isRestricted(operand, rows) ? gatherRows(operand, rows.indices) : operand)),
  );
}
