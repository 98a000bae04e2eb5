// Reverse-mode differentiation: from cotangents of some values to cotangents of others. Only what lies between is built.

import { add, concat, constant } from './build.js';
import { sameShape } from './dim.js';
import { isDifferentiable, type OpName, type Value, type ValueOf } from './ops.js';
import { topologicalOrder } from './program.js';
import { cotangentShape, forWantedRows, isRestricted, placeRows, takeRows, type WantedRows } from './row-gradients.js';
import { typeText } from './shape-rules.js';
import { type VjpRule, vjpRules } from './vjp-rules.js';

/** Where differentiation starts: d(loss)/d(value) is `cotangent`, of the value's shape (its wanted rows, where it is restricted). */
export interface Seed {
  readonly value: Value;
  readonly cotangent: Value;
}

/**
 * d(loss)/d(each of `wanted`), for a scalar loss. A value that the loss does not depend on is an error.
 * @param rows of matrices with so many rows only these are wanted, [wanted, n]: right where no other row both depends on a
 * wanted one and has a part in the loss
 */
export function gradients(loss: Value, wanted: readonly Value[], rows?: WantedRows): Value[] {
  if (loss.shape.length !== 0)
    throw new TypeError(`gradients: the loss must be a scalar, got [${loss.shape.join(', ')}]`);
  return pullBack([{ value: loss, cotangent: constant(1) }], wanted, rows);
}

/** The cotangents of `wanted` that follow from the seeds: sum over seeds of cotangent times d(value)/d(wanted). */
export function pullBack(seeds: readonly Seed[], wanted: readonly Value[], rows?: WantedRows): Value[] {
  for (const seed of seeds) assertSeed(seed, rows);
  wanted.forEach(assertReal);
  const order = topologicalOrder(seeds.map((seed) => seed.value));
  const depends = dependents(order, new Set(wanted));
  const arrived = new Map<Value, Value[]>();
  const send = (to: Value, g: Value) => arrived.set(to, [...(arrived.get(to) ?? []), g]);
  for (const { value, cotangent } of seeds) send(value, cotangent);

  const total = new Map<Value, Value>();
  for (const value of order.toReversed()) {
    const contributions = arrived.get(value);
    if (!contributions || !depends.has(value)) continue;
    const g = sumCotangents(contributions);
    total.set(value, g);
    operandCotangents(value, g, rows).forEach((cotangent, index) => {
      const operand = value.inputs[index]!;
      if (depends.has(operand) && isDifferentiable(operand)) send(operand, restricted(operand, cotangent(), rows));
    });
  }
  return wanted.map((value) => total.get(value) ?? unreachable(value));
}

function operandCotangents(value: Value, g: Value, rows: WantedRows | undefined) {
  if (!rows || !isRestricted(value, rows)) return cotangentsOf(value, g);
  const compact = forWantedRows(value, rows);
  return compact ? cotangentsOf(compact, g) : cotangentsOf(value, placeRows(g, rows));
}

function restricted(operand: Value, cotangent: Value, rows: WantedRows | undefined): Value {
  const isWhole = rows && isRestricted(operand, rows) && sameShape(cotangent.shape, operand.shape);
  return isWhole ? takeRows(cotangent, rows) : cotangent;
}

function cotangentsOf<K extends OpName>(value: Value, g: Value) {
  const rule = vjpRules[value.op] as VjpRule<K>;
  return rule(value as ValueOf<K> & Value, g);
}

/** The values of `order` that depend on any of `sources` (the sources included). */
function dependents(order: readonly Value[], sources: ReadonlySet<Value>): Set<Value> {
  const found = new Set<Value>();
  for (const value of order) {
    if (sources.has(value) || value.inputs.some((operand) => found.has(operand))) found.add(value);
  }
  return found;
}

/** Adds cotangents; the parts of one split are put together by a single concatenation instead of sums of padded zeros. */
function sumCotangents(contributions: readonly Value[]): Value {
  const joined = joinParts(contributions);
  return joined.reduce((sum, g) => add(sum, g));
}

function joinParts(contributions: readonly Value[]): readonly Value[] {
  const parts = contributions.filter((g): g is ValueOf<'placePart'> & Value => g.op === 'placePart');
  const first = parts[0]?.attributes;
  if (!first || parts.length !== first.parts) return contributions;
  const complete = parts.every((part) => part.attributes.axis === first.axis && part.attributes.parts === first.parts);
  const ordered = parts.toSorted((x, y) => x.attributes.index - y.attributes.index);
  if (!complete || ordered.some((part, index) => part.attributes.index !== index)) return contributions;
  const rest = contributions.filter((g) => g.op !== 'placePart');
  return [
    concat(
      ordered.map((part) => part.inputs[0]!),
      first.axis,
    ),
    ...rest,
  ];
}

function assertSeed({ value, cotangent }: Seed, rows: WantedRows | undefined): void {
  const shape = cotangentShape(value, rows);
  if (cotangent.dtype === 'f32' && sameShape(cotangent.shape, shape)) return;
  const must = typeText({ dtype: 'f32', shape });
  throw new TypeError(`gradients: the cotangent of ${label(value)} must be ${must}, got ${typeText(cotangent)}`);
}

function assertReal(value: Value): void {
  if (isDifferentiable(value)) return;
  throw new TypeError(`gradients: ${label(value)} is ${typeText(value)}: only float32 values have gradients`);
}

function unreachable(value: Value): never {
  throw new TypeError(`gradients: the loss does not depend on ${label(value)}`);
}

function label(value: Value): string {
  return 'name' in value.attributes ? `${value.op} '${value.attributes.name}'` : value.op;
}
