// The files that the published code saves of an editor: a state_dict of its hyper-networks (`*_net.pth`) and the state of Adam
// (`*_opt.pth`). Knows no language model.

import { readTensor } from '../checkpoint/stored-tensor.js';
import { readTorchFile, type TorchFile } from '../checkpoint/torch/torch-file.js';
import { TorchTensor } from '../checkpoint/torch/torch-values.js';
import { readTorchWeights, torchEntry } from '../checkpoint/torch/torch-weights.js';
import type { PickleDict, PickleValue } from '../checkpoint/torch/unpickle.js';
import type { WeightFile } from '../checkpoint/weight-file.js';
import { MalmenError } from '../errors.js';
import type { TensorOf } from '../tensor.js';
import { type HyperNetworkShape, parameterShapes } from './hyper-network.js';
import { RunningMoments } from './running-moments.js';

/** A network of one key and value size. */
export interface PublishedNetwork {
  readonly shape: HyperNetworkShape;
  readonly tensors: ReadonlyMap<string, TensorOf<'f32'>>;
  readonly moments: RunningMoments;
}

export interface PublishedEditor {
  readonly path: string;
  /** In the order of the file. */
  readonly networks: readonly PublishedNetwork[];
  /** Index of the network and name of each parameter, in the order in which Adam numbers them. */
  readonly parameters: readonly (readonly [network: number, name: string])[];
}

export interface PublishedOptimizer {
  /** Steps done. */
  readonly step: number;
  /** By network and name, `0.blocks.0.A`; a parameter that never had a gradient is absent. */
  readonly averages: ReadonlyMap<string, { readonly first: TensorOf<'f32'>; readonly second: TensorOf<'f32'> }>;
}

/** `(KEY SIZE, VALUE SIZE).PARAMETER` */
const published = /^\((\d+), (\d+)\)\.(.+)$/;

/** @throws MalmenError when the file is none of these, naming the tensor that is missing or has another shape */
export async function readPublishedEditor(path: string): Promise<PublishedEditor> {
  const file = await readTorchWeights(path);
  const names = groupNames(file);
  const networks: PublishedNetwork[] = [];
  for (const prefix of names.keys()) networks.push(await readNetwork(file, prefix, names.get(prefix)!));
  const prefixes = [...names.keys()];
  // state_dict and parameters() visit modules in one order; running statistics are no parameters.
  const parameters = prefixes.flatMap((prefix, at) => names.get(prefix)!.map((name) => [at, name] as const));
  return { path, networks, parameters: parameters.filter(([, name]) => !name.startsWith('normalizer.')) };
}

/** Names of the tensors of each network, without its prefix. */
function groupNames({ path, tensors }: WeightFile): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const full of tensors.keys()) {
    const [, keySize, valueSize, name] = published.exec(full) ?? [];
    if (name === undefined) {
      throw new MalmenError(
        'bad-input',
        `${path}: tensor '${full}' is none of a published editor: expected names like '(3072, 768).blocks.0.A'`,
      );
    }
    const prefix = `(${keySize}, ${valueSize})`;
    groups.set(prefix, [...(groups.get(prefix) ?? []), name]);
  }
  return groups;
}

async function readNetwork(file: WeightFile, prefix: string, names: readonly string[]): Promise<PublishedNetwork> {
  const shape = shapeOf(file, prefix, names);
  const tensors = new Map<string, TensorOf<'f32'>>();
  for (const [name, dims] of parameterShapes(shape)) tensors.set(name, await read(file, `${prefix}.${name}`, dims));
  const width = shape.keySize + shape.valueSize;
  const [count] = (await read(file, `${prefix}.normalizer.n`)).data;
  const mean = (await read(file, `${prefix}.normalizer.mean`, [width])).data;
  // `var` is the sum of squared deviations; `std` follows from it.
  const squares = (await read(file, `${prefix}.normalizer.var`, [width])).data;
  assertFinite(file.path, prefix, [count!, ...mean, ...squares]);
  return { shape, tensors, moments: RunningMoments.from({ count: count!, mean, squares }) };
}

function assertFinite(path: string, prefix: string, numbers: readonly number[]): void {
  if (numbers.every(Number.isFinite)) return;
  throw new MalmenError(
    'bad-input',
    `${path}: ${prefix}.normalizer holds NaN: the published code makes one of a batch with a single row; train again without such a batch`,
  );
}

function shapeOf(file: WeightFile, prefix: string, names: readonly string[]): HyperNetworkShape {
  const [, keySize, valueSize] = published.exec(`${prefix}.x`)!;
  const blocks = names.filter((name) => /^blocks\.\d+\.A$/.test(name)).length;
  const rank = entry(file, `${prefix}.blocks.0.A`).shape[1] ?? 0;
  const layers = entry(file, `${prefix}.lr.weight`).shape[0] ?? 0;
  return { keySize: Number(keySize), valueSize: Number(valueSize), layers, rank, blocks };
}

function entry({ path, tensors }: WeightFile, name: string) {
  const found = tensors.get(name);
  if (found) return found;
  throw new MalmenError('bad-input', `${path}: tensor '${name}' is missing; not a hyper-network of the published code`);
}

async function read(file: WeightFile, name: string, dims?: readonly number[]): Promise<TensorOf<'f32'>> {
  const found = entry(file, name);
  if (dims !== undefined && String(found.shape) !== String(dims)) {
    throw new MalmenError('bad-input', `${file.path}: tensor '${name}' must be [${dims}], got [${found.shape}]`);
  }
  const tensor = await readTensor(found);
  // A count may be stored as an integer.
  if (tensor.dtype === 'f32') return tensor;
  return { dtype: 'f32', shape: tensor.shape, data: Float32Array.from(tensor.data, Number) };
}

/** @throws MalmenError when the file is no state of Adam, or one of other parameters */
export async function readPublishedOptimizer(path: string, editor: PublishedEditor): Promise<PublishedOptimizer> {
  const file = await readTorchFile(path);
  const fail = (problem: string) => new MalmenError('bad-input', `${path}: ${problem}`);
  const state = file.value instanceof Map ? file.value.get('state') : undefined;
  if (!(state instanceof Map)) throw fail('not the state of an optimizer: expected a dictionary with `state`');
  const averages = new Map<string, { first: TensorOf<'f32'>; second: TensorOf<'f32'> }>();
  let step = 0;
  for (const [index, value] of state) {
    const [network, name] = editor.parameters[Number(index)] ?? [];
    if (network === undefined || !(value instanceof Map)) {
      throw fail(
        `has a parameter ${index}, ${editor.path} has ${editor.parameters.length}; do the two belong together?`,
      );
    }
    const dims = editor.networks[network]!.tensors.get(name!)!.shape;
    const own = { file, name: `${network}.${name}`, dims };
    averages.set(own.name, {
      first: await average(own, value, 'exp_avg'),
      second: await average(own, value, 'exp_avg_sq'),
    });
    step = Math.max(step, await stepOf(file, value.get('step')));
  }
  return { step, averages };
}

interface Parameter {
  readonly file: TorchFile;
  readonly name: string;
  readonly dims: readonly number[];
}

async function average({ file, name, dims }: Parameter, state: PickleDict, key: string): Promise<TensorOf<'f32'>> {
  const value = state.get(key);
  if (value instanceof TorchTensor && String(value.shape) === String(dims)) {
    return (await readTensor(torchEntry(file, `${name}.${key}`, value))) as TensorOf<'f32'>;
  }
  const found = value instanceof TorchTensor ? `[${value.shape}]` : 'missing';
  throw new MalmenError(
    'bad-input',
    `${file.path}: ${key} of ${name} must be [${dims}], is ${found}; is it Adam's, and of the same networks?`,
  );
}

/** A number in older versions, a tensor of one in newer ones. */
async function stepOf(file: TorchFile, step: PickleValue | undefined): Promise<number> {
  if (typeof step === 'number') return step;
  if (step instanceof TorchTensor) return Number((await readTensor(torchEntry(file, 'step', step))).data[0]);
  throw new MalmenError('bad-input', `${file.path}: does not say how many steps were done`);
}
