// Cuts a computation into stages that run one after another: what one stage computes and a later one needs is carried from
// the one to the other. Also the way back, with each stage's forward computed again. Knows no model and no runtime.

import { addTo, constant, input } from './build.js';
import { pullBack, type Seed } from './grad.js';
import { isDifferentiable, type Value } from './ops.js';
import { isLeaf, mergeWithMarks } from './partition.js';
import { topologicalOrder, withInputs } from './program.js';
import { cotangentShape, type WantedRows } from './row-gradients.js';

/** One stage. Carried values are called `stage.0`, `stage.1`, ... on both ends. */
export interface Stage {
  /** Those of the wanted outputs that are computed here. */
  readonly outputs: ReadonlyMap<string, Value>;
  /** What it takes from earlier stages, as inputs. */
  readonly imports: ReadonlyMap<string, Value>;
  /** What it computes for later stages. */
  readonly exports: ReadonlyMap<string, Value>;
}

/**
 * @param boundaries values after which a stage ends, in the order of computation: a value belongs to the first stage whose
 * boundary needs it; what no boundary needs is computed as soon as its operands are there, on from a boundary in a new stage
 */
export function stages(
  outputs: Readonly<Record<string, Value>> | ReadonlyMap<string, Value>,
  boundaries: readonly Value[],
): Stage[] {
  const merged = mergeWithMarks(outputs, boundaries);
  const placeOf = placement(merged.order, merged.marks);
  const building = Array.from({ length: merged.marks.length + 1 }, () => new StageBuilder());
  const carried = new Map<Value, string>();
  for (const value of merged.order) {
    if (isLeaf(value)) continue;
    const stage = building[placeOf.get(value)!]!;
    const operands = value.inputs.map((operand) => {
      if (isLeaf(operand)) return operand;
      const home = building[placeOf.get(operand)!]!;
      if (home === stage) return stage.computed(operand);
      const name = carried.get(operand) ?? `stage.${carried.size}`;
      carried.set(operand, name);
      home.exports.set(name, home.computed(operand));
      return stage.take(name, operand);
    });
    stage.add(value, withInputs(value, operands));
  }
  for (const [name, value] of merged.outputs) {
    const home = isLeaf(value) ? building.at(-1)! : building[placeOf.get(value)!]!;
    home.outputs.set(name, isLeaf(value) ? value : home.computed(value));
  }
  return building.filter((stage) => stage.outputs.size + stage.exports.size > 0);
}

function placement(order: readonly Value[], boundaries: readonly Value[]): Map<Value, number> {
  const places = new Map<Value, number>();
  const ends = new Map(boundaries.map((boundary, stage) => [boundary, stage]));
  boundaries.forEach((boundary, stage) => {
    for (const value of topologicalOrder([boundary])) if (!places.has(value)) places.set(value, stage);
  });
  const readable = (value: Value) => (ends.has(value) ? ends.get(value)! + 1 : (places.get(value) ?? 0));
  for (const value of order) if (!places.has(value)) places.set(value, Math.max(0, ...value.inputs.map(readable)));
  return places;
}

class StageBuilder implements Stage {
  readonly outputs = new Map<string, Value>();
  readonly imports = new Map<string, Value>();
  readonly exports = new Map<string, Value>();
  readonly #computed = new Map<Value, Value>();

  computed(value: Value): Value {
    return this.#computed.get(value)!;
  }

  add(value: Value, here: Value): void {
    this.#computed.set(value, here);
  }

  take(name: string, { shape, dtype }: Value): Value {
    const taken = this.imports.get(name) ?? input(name, shape, dtype);
    this.imports.set(name, taken);
    return taken;
  }
}

/** The way back through one stage: from cotangents of its exports to cotangents of its imports. */
export interface BackwardStage {
  /** The stage itself: whatever of it the gradients need is computed again. */
  readonly forward: Stage;
  /** d(loss)/d(wanted value), by name: this stage's part. */
  readonly gradients: ReadonlyMap<string, Value>;
  /** d(loss)/d(import), by {@link cotangentName}, with what later stages found already (an input of the same name). */
  readonly cotangents: ReadonlyMap<string, Value>;
}

/** The input and the output that carry d(loss)/d(a carried value). */
const cotangentName = (carried: string) => `cotangent ${carried}`;

/** Whether an output only serves other stages. */
export const isCarried = (name: string) => /^(cotangent )?stage\.\d+$/.test(name);

export interface BackwardRequest {
  /** Which output is the scalar loss. */
  readonly loss: string;
  /** Outputs (except the loss) and parameters whose gradients are wanted. */
  readonly wanted: ReadonlySet<string>;
  /** As of `gradients`: of matrices with so many rows only these are wanted. */
  readonly rows?: WantedRows | undefined;
}

/** The stages that a gradient passes through, in the order in which they run: the last stage first. */
export function backwardStages(forward: readonly Stage[], { loss, wanted, rows }: BackwardRequest): BackwardStage[] {
  const arrived = new Set<string>();
  const found: BackwardStage[] = [];
  for (const stage of forward.toReversed()) {
    const seeds = seedsOf(stage, { loss, rows }, arrived);
    const order = topologicalOrder(seeds.map(({ value }) => value));
    const targets = [...candidates(stage, order, wanted)].filter(([, value]) => order.includes(value));
    if (targets.length === 0) continue;
    const pulled = pullBack(
      seeds,
      targets.map(([, value]) => value),
      rows,
    );
    const gradients = new Map<string, Value>();
    const cotangents = new Map<string, Value>();
    for (const [at, [name]] of targets.entries()) {
      const gradient = pulled[at]!;
      const carried = cotangentName(name);
      if (!stage.imports.has(name)) gradients.set(name, gradient);
      else cotangents.set(carried, arrived.has(name) ? addTo(gradient, input(carried, gradient.shape)) : gradient);
    }
    for (const name of stage.imports.keys()) if (cotangents.has(cotangentName(name))) arrived.add(name);
    found.push({ forward: stage, gradients, cotangents });
  }
  return found;
}

/** The loss where it is computed, and every export that a later stage has sent a cotangent for. */
function seedsOf(
  { outputs, exports }: Stage,
  { loss, rows }: Pick<BackwardRequest, 'loss' | 'rows'>,
  arrived: ReadonlySet<string>,
): Seed[] {
  const seeds: Seed[] = [...exports]
    .filter(([name]) => arrived.has(name))
    .map(([name, value]) => ({ value, cotangent: input(cotangentName(name), cotangentShape(value, rows)) }));
  const value = outputs.get(loss);
  return value ? [...seeds, { value, cotangent: constant(1) }] : seeds;
}

/** What a gradient may be wanted for in this stage, by name. */
function candidates({ imports, outputs }: Stage, order: readonly Value[], wanted: ReadonlySet<string>) {
  const parameters = order.flatMap((value) =>
    value.op === 'parameter' && wanted.has(value.attributes.name) ? [[value.attributes.name, value] as const] : [],
  );
  const inside = [...outputs].filter(([name]) => wanted.has(name));
  const carried = [...imports].filter(([, value]) => isDifferentiable(value));
  return new Map<string, Value>([...parameters, ...inside, ...carried]);
}
