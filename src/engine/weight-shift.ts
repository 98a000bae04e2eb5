// The one place where a shift meets a weight's layout: shifts are [keySize, valueSize], checkpoints store either way round.

import { add, input, mul, transpose } from '../graph/build.js';
import { makeProgram } from '../graph/program.js';
import type { EditableLayer } from '../models/model.js';
import { scalar } from '../tensor.js';
import type { Resident, Runtime, WeightBinding } from './runtime.js';

export const allFed: WeightBinding = { source: () => 'fed' };

/** weight + shift, in the weight's layout; a new resident. */
export async function addShift(
  runtime: Runtime,
  weight: Resident,
  shift: Resident,
  orientation: EditableLayer['orientation'],
): Promise<Resident> {
  const change = input('shift', ['keys', 'values']);
  const result = add(
    orientation === 'in-out' ? input('weight', ['keys', 'values']) : input('weight', ['values', 'keys']),
    orientation === 'in-out' ? change : transpose(change, [1, 0]),
  );
  const compiled = await runtime.compile(makeProgram({ result }), allFed);
  return (await runtime.run(compiled, { weight, shift }, { keep: 'all' })).kept('result');
}

/** A gradient in a weight's layout as [keySize, valueSize]. The given resident is returned or released. */
export async function asShift(
  runtime: Runtime,
  gradient: Resident,
  orientation: EditableLayer['orientation'],
): Promise<Resident> {
  if (orientation === 'in-out') return gradient;
  const result = transpose(input('gradient', ['values', 'keys']), [1, 0]);
  const compiled = await runtime.compile(makeProgram({ result }), allFed);
  const turned = (await runtime.run(compiled, { gradient }, { keep: 'all' })).kept('result');
  runtime.release(gradient);
  return turned;
}

/** factor * x; a new resident. */
export async function scale(runtime: Runtime, x: Resident, factor: number): Promise<Resident> {
  const result = mul(input('x', ['rows', 'columns']), input('factor', []));
  const compiled = await runtime.compile(makeProgram({ result }), allFed);
  return (await runtime.run(compiled, { x, factor: scalar(factor) }, { keep: 'all' })).kept('result');
}

/** a + b for each layer; new residents. */
export async function addShifts(
  runtime: Runtime,
  a: ReadonlyMap<string, Resident>,
  b: ReadonlyMap<string, Resident>,
): Promise<Map<string, Resident>> {
  const sums = new Map<string, Resident>();
  for (const [name, shift] of a) sums.set(name, await addShift(runtime, shift, b.get(name)!, 'in-out'));
  return sums;
}
