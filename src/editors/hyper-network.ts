// The network shared by MALMEN and MEND, as a graph: from (key, value gradient) rows to pseudo keys and pseudo gradients.
// One network serves all layers of one shape. Knows nothing of language models and of how shifts are made.

import * as b from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import { type TensorOf, zeros } from '../tensor.js';
import type { Random } from '../util/random.js';

export interface HyperNetworkShape {
  readonly keySize: number;
  readonly valueSize: number;
  /** Number of layers that share the network. */
  readonly layers: number;
  readonly rank: number;
  readonly blocks: number;
  /** Whose mean and deviation normalise a row: those of all layers' rows (as published, the default), or of its layer's own. */
  readonly statistics?: Statistics;
}

export const statisticsChoices = ['shared', 'layer'] as const;
export type Statistics = (typeof statisticsChoices)[number];

/** How many running statistics a network keeps. */
export function statisticsCount({ layers, statistics }: HyperNetworkShape): number {
  return statistics === 'layer' ? layers : 1;
}

/** What the network's graph offers to an editing method. All have one row per captured row. */
export interface NetworkValues {
  /** Raw keys, [rows, keySize]. */
  readonly keys: Value;
  /** [rows, keySize] */
  readonly pseudoKeys: Value;
  /** [rows, valueSize] */
  readonly pseudoGradients: Value;
  /** The layer's learning rate, [rows, 1]. */
  readonly learningRate: Value;
  /** min(1, norm of the row's value gradient over the root mean square of the rows seen in training), [rows, 1]. */
  readonly errorLeft: Value;
}

/** Added to the deviation so that a constant column divides by something: float32's machine epsilon, as published. */
const normalizerEpsilon = 2 ** -23;

/** Parameters by their published names, with shapes. `lamda` is log lambda (its published spelling). */
export function parameterShapes({
  keySize,
  valueSize,
  layers,
  rank,
  blocks,
}: HyperNetworkShape): Map<string, readonly number[]> {
  const width = keySize + valueSize;
  const shapes = new Map<string, readonly number[]>();
  for (let block = 0; block < blocks; block++) {
    shapes.set(`blocks.${block}.A`, [width, rank]);
    shapes.set(`blocks.${block}.B`, [rank, width]);
    shapes.set(`blocks.${block}.bias`, [width]);
    shapes.set(`blocks.${block}.scale.weight`, [layers, width]);
    shapes.set(`blocks.${block}.shift.weight`, [layers, width]);
  }
  shapes.set('lr.weight', [layers, 1]);
  shapes.set('lamda.weight', [layers, 1]);
  return shapes;
}

export interface InitialValues {
  readonly learningRate: number;
  /** log lambda */
  readonly logLambda: number;
}

/** The start: A normal, scale 1, everything else 0, so that the network is the identity on normalised rows. */
export function initialParameters(
  shape: HyperNetworkShape,
  start: InitialValues,
  random: Random,
): Map<string, TensorOf<'f32'>> {
  const fill = (dims: readonly number[], value: number) => {
    const tensor = zeros(dims);
    tensor.data.fill(value);
    return tensor;
  };
  const initial = (name: string, dims: readonly number[]): TensorOf<'f32'> => {
    if (name.endsWith('.A')) return normal(dims, random);
    if (name.endsWith('.scale.weight')) return fill(dims, 1);
    if (name === 'lr.weight') return fill(dims, start.learningRate);
    return fill(dims, name === 'lamda.weight' ? start.logLambda : 0);
  };
  return new Map([...parameterShapes(shape)].map(([name, dims]) => [name, initial(name, dims)]));
}

/** Filled in place: these are the largest tensors of all. */
function normal(shape: readonly number[], random: Random): TensorOf<'f32'> {
  const tensor = zeros(shape);
  for (let i = 0; i < tensor.data.length; i++) tensor.data[i] = random.normal();
  return tensor;
}

/**
 * z0 = ([K | G] - mean) / (std + eps);  z <- z + scale_l relu(z A B + bias) + shift_l for each block; K~, G~ = split(z).
 * The relu's derivative at exactly 0 is 1, or nothing would ever start to learn (Tan, Zhang and Fu 2024, published code).
 * With `scaledUp`, rows whose gradient is smaller than usual are seen at the usual size: of a small gradient, subtracting the
 * mean would leave little but minus the mean.
 * Inputs: `keys`, `valueGradients`, `layer` (i64 [rows], which row of scale, shift and lr), `mean`, `deviation` [1 or layers, width].
 */
export function networkValues(shape: HyperNetworkShape, { scaledUp = false } = {}): NetworkValues {
  const { keySize, valueSize, blocks } = shape;
  const width = keySize + valueSize;
  const shapes = parameterShapes(shape);
  const parameter = (name: string) => b.parameter(name, shapes.get(name)!);
  const keys = b.input('keys', ['rows', keySize]);
  const layer = b.input('layer', ['rows'], 'i64');
  const perLayer = (name: string) => b.gatherRows(parameter(name), layer); // [rows, width]
  const valueGradients = b.input('valueGradients', ['rows', valueSize]);
  const statistics = (name: string) => {
    const all = b.input(name, [statisticsCount(shape), width]);
    return shape.statistics === 'layer' ? b.gatherRows(all, layer) : all; // [1 or rows, width]
  };
  const [mean, deviation] = [statistics('mean'), statistics('deviation')];
  const left = errorLeft(valueGradients, b.slice(mean, 1, keySize, width), b.slice(deviation, 1, keySize, width));
  const seen = scaledUp ? b.div(valueGradients, b.add(left, smallestError)) : valueGradients;
  const raw = b.concat([keys, seen], 1);
  let z = b.div(b.sub(raw, mean), b.add(deviation, normalizerEpsilon));
  for (let block = 0; block < blocks; block++) {
    const part = (name: string) => `blocks.${block}.${name}`;
    const low = b.gemm(z, parameter(part('A'))); // [rows, rank]
    const wide = b.relu(b.gemm(low, parameter(part('B')), { plus: parameter(part('bias')) }), 1); // [rows, width]
    z = b.add(z, b.add(b.mul(perLayer(part('scale.weight')), wide), perLayer(part('shift.weight'))));
  }
  return {
    keys,
    pseudoKeys: b.slice(z, 1, 0, keySize),
    pseudoGradients: b.slice(z, 1, keySize, width),
    learningRate: perLayer('lr.weight'),
    errorLeft: left,
  };
}

/** Keeps 0 / 0 away from rows without any error. */
const smallestError = 1e-12;

/** min(1, |g| / sqrt(E |g|^2)), where E g_i^2 = mean_i^2 + deviation_i^2. */
function errorLeft(valueGradients: Value, mean: Value, deviation: Value): Value {
  const meanSquare = b.reduceSum(b.add(b.mul(mean, mean), b.mul(deviation, deviation)), [1], true); // [1 or rows, 1]
  const square = b.reduceSum(b.mul(valueGradients, valueGradients), [1], true); // [rows, 1]
  const error = b.sqrt(b.div(square, b.add(meanSquare, normalizerEpsilon ** 2)));
  return b.sub(1, b.relu(b.sub(1, error)));
}
