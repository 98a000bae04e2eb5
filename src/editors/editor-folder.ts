// A trained editor as a folder: `editor.json` says what it is and which model it belongs to, `editor.safetensors` holds the
// hyper-networks and their running statistics. Knows no training.

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson } from '../checkpoint/read-json.js';
import { float64Source, readSafetensorsHeader, tensorSource, writeSafetensors } from '../checkpoint/safetensors.js';
import { readFloat64, readTensor, type TensorEntry } from '../checkpoint/stored-tensor.js';
import type { WeightFile } from '../checkpoint/weight-file.js';
import type { EditableModel } from '../engine/editable-model.js';
import type { LayerGroup } from '../engine/layer-group.js';
import { lazyDownload } from '../engine/runtime.js';
import { MalmenError } from '../errors.js';
import type { TensorOf } from '../tensor.js';
import { writeFileAtomic } from '../util/atomic-file.js';
import { fileHash } from '../util/file-hash.js';
import { HyperEditor } from './hyper-editor.js';
import { type HyperNetworkShape, parameterShapes, statisticsChoices, statisticsCount } from './hyper-network.js';
import { dampedMalmen, malmen } from './malmen.js';
import { mend } from './mend.js';
import type { MetaMethod } from './meta-method.js';
import { PreservedKeys } from './preserved-keys.js';
import { ResidentNetwork } from './resident-network.js';
import { RunningMoments } from './running-moments.js';

/** The methods that are trained, by name. */
const metaMethods: Readonly<Record<MetaMethod['name'], MetaMethod>> = { malmen, mend };

/** @param damped for MALMEN: its wanted changes shrink with the error that is left */
export function metaMethod(name: MetaMethod['name'], damped: boolean): MetaMethod {
  return damped && name === 'malmen' ? dampedMalmen : metaMethods[name];
}

/** Names the layout of an editor's folder. */
export const editorFormat = 'malmen-editor-2';

const descriptionSchema = z.object({
  format: z.literal(editorFormat, { error: `must be ${editorFormat}: train the editor again with this version` }),
  method: z.enum(['malmen', 'mend']),
  base: z.object({ hash: z.string(), modelType: z.string(), path: z.string() }),
  layers: z.array(z.string()).min(1),
  tokens: z.enum(['answers', 'all']),
  rank: z.int().positive(),
  blocks: z.int().positive(),
  steps: z.int().nonnegative(),
  /** Rounds that an edit takes unless told otherwise. */
  rounds: z.int().positive(),
  /** Factor of every lambda in an edit, unless told otherwise. */
  lambdaScale: z.number().positive().default(1),
  /** Whether wanted changes shrink with the error that is left. */
  damped: z.boolean().default(false),
  /** Whose mean and deviation normalise a row. */
  statistics: z.enum(statisticsChoices).default('shared'),
  /** Whether the token that ends a text follows every answer that is edited. */
  ends: z.boolean().default(false),
  /** Whether it keeps the keys of known facts in place. */
  preserves: z.boolean(),
  /** The options it was trained with, for the record. */
  training: z.record(z.string(), z.unknown()),
});

/** `editor.json`: what a trained editor is and which model it belongs to. */
export type EditorDescription = z.infer<typeof descriptionSchema>;

export const editorFile = 'editor.json';
const weightsFile = 'editor.safetensors';

/** Published name of the network of a group: its key and value size. */
/** The second moment of a layer's preserved keys. */
const preservedName = (layer: string) => `preserved.${layer}`;

const groupName = ({ keySize, valueSize }: { readonly keySize: number; readonly valueSize: number }) =>
  `(${keySize}, ${valueSize})`;

/** The published name where layers share one normaliser; numbered by layer otherwise. */
const normalizerName = ({ statistics }: HyperNetworkShape, at: number) =>
  statistics === 'layer' ? `normalizer.${at}` : 'normalizer';

export async function saveEditor(
  folder: string,
  description: EditorDescription,
  model: EditableModel,
  editor: HyperEditor,
): Promise<void> {
  const sources = [];
  for (const network of editor.networks) {
    const prefix = groupName(network.shape);
    for (const [name, resident] of network.parameters) {
      sources.push(tensorSource(`${prefix}.${name}`, lazyDownload(model.runtime, resident)));
    }
    for (const [at, { count, mean, squares }] of network.moments.entries()) {
      const name = (part: string) => `${prefix}.${normalizerName(network.shape, at)}.${part}`;
      sources.push(float64Source(name('count'), Float64Array.of(count), [1]));
      sources.push(float64Source(name('mean'), mean, [mean.length]));
      sources.push(float64Source(name('squares'), squares, [mean.length]));
    }
  }
  for (const [layer, { moment }] of editor.preserved) {
    sources.push(tensorSource(preservedName(layer), lazyDownload(model.runtime, moment)));
  }
  await writeSafetensors(join(folder, weightsFile), sources);
  await writeFileAtomic(join(folder, editorFile), `${JSON.stringify(description, null, 2)}\n`);
}

/** @throws MalmenError when the folder holds no finished editor. */
export async function readEditorDescription(folder: string): Promise<EditorDescription> {
  const path = join(folder, editorFile);
  const unfinished = await stat(join(folder, 'train.json')).then(
    () => true,
    () => false,
  );
  if (!(await stat(path).catch(() => undefined))) {
    const hint = unfinished
      ? 'the training has not finished; run it again with --resume'
      : 'make one with `malmen train`';
    throw new MalmenError('not-found', `${folder}: no ${editorFile}: not a trained editor (${hint})`);
  }
  const parsed = descriptionSchema.safeParse(await readJson(path));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new MalmenError('bad-input', `${path}: ${problems.join('; ')}`);
}

/** What tells one training from another: sha256 of the editor's weights, as `sha256sum` prints it. */
export function editorHash(folder: string): Promise<string> {
  return fileHash(join(folder, weightsFile));
}

/** @throws MalmenError `mismatch` when the editor was trained on another model. */
export function assertSameBase(
  folder: string,
  description: EditorDescription,
  baseHash: string,
  modelPath: string,
): void {
  if (description.base.hash === baseHash) return;
  throw new MalmenError(
    'mismatch',
    `${folder}: this editor was trained on another model (${description.base.path}, content ${description.base.hash.slice(0, 12)}) than ` +
      `${modelPath} (content ${baseHash.slice(0, 12)}); use the model it was trained on, or train an editor for this one`,
  );
}

/**
 * Opens the networks of a saved editor for a model whose layers are those of the description. At most `rowLimit` rows go through a
 * network at once: it bounds memory and never changes the result.
 */
export async function loadEditor(
  folder: string,
  description: EditorDescription,
  model: EditableModel,
  rowLimit: number,
): Promise<HyperEditor> {
  const file = await readSafetensorsHeader(join(folder, weightsFile));
  const method = metaMethod(description.method, description.damped);
  const networks: ResidentNetwork[] = [];
  for (const group of model.groups) {
    const shape = networkShape(group, description);
    const { tensors, moments } = await readNetwork(file, shape);
    networks.push(await ResidentNetwork.open(model.runtime, method, tensors, { shape, moments, rowLimit }));
  }
  const preserved = description.preserves ? await readPreserved(file, model) : new Map<string, PreservedKeys>();
  return new HyperEditor(method, description.tokens, networks, preserved);
}

async function readPreserved(file: WeightFile, model: EditableModel): Promise<Map<string, PreservedKeys>> {
  const preserved = new Map<string, PreservedKeys>();
  for (const { name, keySize } of model.layers) {
    const tensor = (await readTensor(findTensor(file, preservedName(name), [keySize, keySize]))) as TensorOf<'f32'>;
    preserved.set(name, new PreservedKeys(name, await model.runtime.upload(tensor, { move: true })));
  }
  return preserved;
}

function findTensor(file: WeightFile, name: string, shape: readonly number[]): TensorEntry {
  const found = file.tensors.get(name);
  if (!found) throw new MalmenError('bad-input', `${file.path}: tensor '${name}' is missing`);
  if (String(found.shape) === String(shape)) return found;
  throw new MalmenError('bad-input', `${file.path}: tensor '${name}' must be [${shape}], got [${found.shape}]`);
}

export function networkShape(
  { keySize, valueSize, layers }: LayerGroup,
  { rank, blocks, statistics = 'shared' }: Pick<HyperNetworkShape, 'rank' | 'blocks' | 'statistics'>,
): HyperNetworkShape {
  return { keySize, valueSize, layers: layers.length, rank, blocks, statistics };
}

async function readNetwork(file: WeightFile, shape: HyperNetworkShape) {
  const prefix = groupName(shape);
  const entry = (name: string, dims: readonly number[]) => findTensor(file, `${prefix}.${name}`, dims);
  const tensors = new Map<string, TensorOf<'f32'>>();
  for (const [name, dims] of parameterShapes(shape))
    tensors.set(name, (await readTensor(entry(name, dims))) as TensorOf<'f32'>);
  const width = shape.keySize + shape.valueSize;
  const moments: RunningMoments[] = [];
  for (let at = 0; at < statisticsCount(shape); at++) {
    const doubles = (part: string, size: number) => readFloat64(entry(`${normalizerName(shape, at)}.${part}`, [size]));
    const [count] = await doubles('count', 1);
    const [mean, squares] = [await doubles('mean', width), await doubles('squares', width)];
    moments.push(RunningMoments.from({ count: count!, mean, squares }));
  }
  return { tensors, moments };
}
