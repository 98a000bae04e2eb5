// A language model opened from a Hugging Face folder: its definition, its tokenizer's folder, its weights mapped from disk
// once however many programs use them. The base weights are never written to.

import { basename, dirname } from 'node:path';
import { type ModelFolder, type OpenFolderOptions, openModelFolder } from '../checkpoint/model-folder.js';
import { readTensor, type TensorEntry } from '../checkpoint/stored-tensor.js';
import { MalmenError } from '../errors.js';
import type { ExternalWeight } from '../graph/emit.js';
import { defineModel } from '../models/index.js';
import type { EditableLayer, ModelDefinition } from '../models/model.js';
import type { TensorOf } from '../tensor.js';
import { EditableModel } from './editable-model.js';
import type { RecordStore } from './frozen-cache.js';
import { matchTensors } from './match-tensors.js';
import type { OpenModel } from './open-model.js';
import { openRuntime, type RuntimeOptions } from './open-runtime.js';
import type { Resident, Runtime, WeightBinding } from './runtime.js';
import type { Running, Schedule } from './schedule.js';

/** Where and how a model is opened: the device and its threads, a file of weights instead of the folder's own. */
export interface OpenModelOptions extends Partial<RuntimeOptions>, OpenFolderOptions {}

/** A model folder, opened on a device: checked tensors, mapped weights. Close it when done. */
export class LanguageModel implements OpenModel {
  readonly definition: ModelDefinition;
  readonly folder: ModelFolder;
  readonly runtime: Runtime;
  readonly #entries: ReadonlyMap<string, TensorEntry>;
  readonly #resident = new Map<string, Promise<Resident>>();

  private constructor(definition: ModelDefinition, folder: ModelFolder, runtime: Runtime) {
    this.definition = definition;
    this.folder = folder;
    this.runtime = runtime;
    this.#entries = matchTensors(definition, folder);
  }

  /**
   * Checks the configuration and every tensor's presence, shape and dtype; reads no weight yet.
   * @throws MalmenError that names the file, key or tensor.
   */
  static async open(dir: string, { weights, ...options }: OpenModelOptions = {}): Promise<LanguageModel> {
    const folder = await openModelFolder(dir, { weights });
    const definition = defineModel(folder.config);
    matchTensors(definition, folder);
    const runtime = await openRuntime({ device: 'cpu', ...options });
    return new LanguageModel(definition, folder, runtime);
  }

  /**
   * The layers with these names, or the architecture's default ones; a name may leave out what stands before one of its dots.
   * @throws MalmenError for a name that is none's, more than one's, or given twice
   */
  layers(names: readonly string[] = this.definition.defaultLayers): EditableLayer[] {
    const found = names.map((name) => this.#layer(name));
    const twice = found.find((layer, at) => found.indexOf(layer) < at);
    if (twice === undefined) return found;
    throw new MalmenError('bad-input', `${this.folder.dir}: layer '${twice.name}' is given twice; name each once`);
  }

  #layer(name: string): EditableLayer {
    const { layers } = this.definition;
    const named = layers.filter((layer) => layer.name === name || layer.name.endsWith(`.${name}`));
    if (named.length === 1) return named[0]!;
    const meant = (named.length > 1 ? named : layers).map((layer) => layer.name).join(', ');
    const problem = named.length > 1 ? `'${name}' is the end of several layers' names` : `no layer '${name}' to edit`;
    throw new MalmenError('not-found', `${this.folder.dir}: ${problem}; name one of ${meant}`);
  }

  /** Prepares editing of some layers: their weights become inputs, everything else stays mapped. `records` keeps the frozen part of prompts. */
  async editing(
    layers: readonly EditableLayer[],
    running: Schedule | Running = 'whole',
    records?: RecordStore,
  ): Promise<EditableModel> {
    return EditableModel.open(this, layers, typeof running === 'string' ? { schedule: running } : running, records);
  }

  /**
   * Frozen programs map their weights from the checkpoint's files. `fed` weights are given with each run instead.
   * Live programs come in several variants that use the same weights: those in float32 are read once and fed to all of
   * them ({@link residentWeight}), because every session that maps a file counts its pages again.
   * @internal
   */
  binding(fed: (parameter: string) => boolean): WeightBinding {
    const folders = new Set([...this.#entries.values()].map(({ path }) => dirname(path)));
    if (folders.size > 1) {
      throw new MalmenError(
        'unsupported',
        `${this.folder.dir}: weight files lie in several folders (${[...folders].join(', ')})`,
      );
    }
    return { source: (name) => (fed(name) ? 'fed' : external(this.entry(name))), folder: [...folders][0]! };
  }

  /** Whether a weight is stored as programs compute: 16-bit weights stay mapped and are cast where they are used. @internal */
  isFloat32(parameter: string): boolean {
    return this.entry(parameter).dtype === 'f32';
  }

  /** Whether programs can map a weight: its elements follow each other in the file. @internal */
  isMapped(parameter: string): boolean {
    return this.entry(parameter).strides === undefined;
  }

  /** A weight as a resident, read at its first use and kept as long as the model is open. @internal */
  residentWeight(parameter: string): Promise<Resident> {
    const known =
      this.#resident.get(parameter) ??
      this.read(parameter).then((tensor) => this.runtime.upload(tensor, { move: true }));
    this.#resident.set(parameter, known);
    return known;
  }

  /** The tensor of the checkpoint that holds a parameter. */
  entry(parameter: string): TensorEntry {
    const entry = this.#entries.get(parameter);
    if (!entry) throw new TypeError(`no parameter '${parameter}' in ${this.definition.modelType}`);
    return entry;
  }

  /** One parameter as float32, in the checkpoint's layout. */
  async read(parameter: string): Promise<TensorOf<'f32'>> {
    return (await readTensor(this.entry(parameter))) as TensorOf<'f32'>;
  }

  /** Releases everything that belongs to the model, on the device and in memory. */
  close(): Promise<void> {
    return this.runtime.close();
  }
}

function external({ dtype, path, offset, bytes }: TensorEntry): ExternalWeight {
  return { dtype: dtype as ExternalWeight['dtype'], location: basename(path), offset, bytes };
}
