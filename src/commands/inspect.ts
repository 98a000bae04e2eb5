// `malmen inspect`: what a folder or file is, which layers it could edit, and the memory that a job would need.

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ModelFolder, openModelFolder } from '../checkpoint/model-folder.js';
import { openWeightFile } from '../checkpoint/open-weight-file.js';
import { type EditorDescription, editorFile, readEditorDescription } from '../editors/editor-folder.js';
import { defineModel } from '../models/index.js';
import type { EditableLayer, ModelDefinition } from '../models/model.js';
import type { ModelKind } from '../util/model-kind.js';
import type { CommandContext, CommandEvent } from './events.js';
import { estimateMemory, type MemoryEstimate } from './memory-estimate.js';
import { jobsOf } from './memory-job.js';
import { findModel } from './model-source.js';
import type { InspectOptions } from './options.js';
import { isWorthSpooling } from './row-spooling.js';

/** What a path holds; `kind` tells which. */
export type InspectResult = ModelReport | EditorReport | FileReport;

/** A language model: its layers, and the memory that a job takes. */
export interface ModelReport {
  readonly kind: 'model';
  readonly modelType: string;
  /** What it reads and says. */
  readonly modelKind: ModelKind;
  readonly parameters: number;
  readonly dtypes: readonly string[];
  readonly vocabulary: number;
  readonly contextTokens: number;
  readonly layers: readonly (EditableLayer & { readonly isDefault: boolean })[];
  /** Of editing and of a training step, in each way that the engine can run them. */
  readonly memory: readonly JobMemory[];
}

/** The memory of one task, run in one way. */
export interface JobMemory extends MemoryEstimate {
  readonly task: 'edit' | 'train';
}

/** A trained editor. */
export interface EditorReport extends EditorDescription {
  readonly kind: 'editor';
}

/** A file of weights. */
export interface FileReport {
  readonly kind: 'file';
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[] }[];
}

/** `malmen inspect`. @throws MalmenError for a path that is no model, editor or safetensors file */
export async function inspect(options: InspectOptions, context: CommandContext): Promise<InspectResult> {
  const info = await stat(options.path).catch(() => undefined);
  if (!info) return inspectModel({ ...options, path: (await findModel(options.path, context)).dir }, context);
  if (!info.isDirectory()) return inspectFile(options.path, context);
  const isEditor = await stat(join(options.path, editorFile)).then(
    () => true,
    () => false,
  );
  return isEditor ? inspectEditor(options.path, context) : inspectModel(options, context);
}

async function inspectFile(path: string, { emit }: CommandContext): Promise<FileReport> {
  const { metadata, tensors } = await openWeightFile(path);
  const list = [...tensors.values()].map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  emit({
    kind: 'table',
    title: `${path}: ${list.length} tensors`,
    columns: ['tensor', 'dtype', 'shape'],
    rows: list.map(({ name, dtype, shape }) => [name, dtype, shape.join(' x ')]),
  });
  for (const [key, value] of Object.entries(metadata)) emit({ kind: 'note', text: `${key}: ${value}` });
  return { kind: 'file', metadata, tensors: list };
}

async function inspectEditor(path: string, { emit }: CommandContext): Promise<EditorReport> {
  const description = await readEditorDescription(path);
  const { method, base, layers, tokens, rank, blocks, steps } = description;
  const rows = [
    ['method', method],
    ['base model', `${base.modelType}, ${base.path}, content ${base.hash.slice(0, 12)}`],
    ['layers', layers.join(', ')],
    ['tokens', tokens],
    ['hyper-network', `rank ${rank}, ${blocks} blocks`],
    ['training steps', steps],
  ];
  emit({ kind: 'table', title: `${path}: trained editor`, columns: ['', ''], rows });
  return { kind: 'editor', ...description };
}

async function inspectModel(options: InspectOptions, { emit }: CommandContext): Promise<ModelReport> {
  const { path, weights, edits, rank, batch } = options;
  const folder = await openModelFolder(path, { weights });
  const definition = defineModel(folder.config);
  const report = describeModel(folder, definition, options);
  const title = `${path}: ${report.modelType} (${report.modelKind}), ${(report.parameters / 1e6).toFixed(1)} M parameters (${report.dtypes.join(', ')}), vocabulary ${report.vocabulary}, ${report.contextTokens} tokens`;
  const rows = report.layers.map((layer) => [
    layer.name,
    layer.keySize,
    layer.valueSize,
    layer.orientation,
    layer.isDefault ? 'default' : '',
  ]);
  emit({ kind: 'table', title, columns: ['layer', 'key size', 'value size', 'stored', ''], rows });
  emit(memoryTable(report.memory, `memory in MB for ${edits} facts at rank ${rank}, ${batch} prompts per pass`));
  return report;
}

const scheduleNames = { whole: 'whole-model sessions', blocks: 'one session per block (--memory)' } as const;

function memoryTable(memory: readonly JobMemory[], title: string): CommandEvent {
  const rows = memory.map((job) => [
    job.task,
    scheduleNames[job.schedule],
    ...[job.weights, job.pass, job.hyperNetwork, job.editedLayers, job.normalEquations, job.peak].map((bytes) =>
      Math.round(bytes / 1e6),
    ),
  ]);
  const parts = ['weights', 'a pass', 'hyper-network', 'edited layers', 'normal equations', 'peak'];
  return { kind: 'table', title, columns: ['', '', ...parts], rows };
}

/** Facts of the usual length; a verdict is one label. */
const promptTokens = 22;
const answerTokens: Readonly<Record<ModelKind, number>> = { decoder: 3, 'encoder-decoder': 3, classifier: 1 };

function memoryOf(
  folder: ModelFolder,
  definition: ModelDefinition,
  { edits, rank, batch }: InspectOptions,
): readonly JobMemory[] {
  const names = new Set(folder.tensors.keys());
  const isFloat32 = (name: string) => folder.tensors.get(definition.tensorName(name, names))?.dtype === 'f32';
  const fact = {
    prompt: Array.from({ length: promptTokens }, () => 0),
    answer: Array.from({ length: answerTokens[definition.kind] }, () => 0),
  };
  const pairs = Array.from({ length: edits }, () => fact);
  const job = {
    model: { definition, isFloat32 },
    layers: definition.layers.filter(({ name }) => definition.defaultLayers.includes(name)),
    pairs: pairs.slice(0, batch),
    edits: pairs,
    tokens: 'answers',
    network: { rank, blocks: 2 },
  } as const;
  return (['edit', 'train'] as const).flatMap((task) => {
    const sized = jobsOf({ ...job, task })(batch);
    return (['whole', 'blocks'] as const).map((schedule) => ({
      task,
      ...estimateMemory(schedule, { ...sized, spools: isWorthSpooling(sized, schedule === 'blocks') }),
    }));
  });
}

function describeModel(folder: ModelFolder, definition: ModelDefinition, job: InspectOptions): ModelReport {
  const defaults = new Set(definition.defaultLayers);
  return {
    kind: 'model',
    modelType: definition.modelType,
    modelKind: definition.kind,
    parameters: definition.parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
    dtypes: [...new Set([...folder.tensors.values()].map(({ dtype }) => dtype))],
    vocabulary: definition.vocabularySize,
    contextTokens: definition.contextTokens,
    layers: definition.layers.map((layer) => ({ ...layer, isDefault: defaults.has(layer.name) })),
    memory: memoryOf(folder, definition, job),
  };
}
