// Stored reference models under other configurations, with weights of the caller's, and the logits that they give.

import { copyFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { saveNewModel } from '../../src/checkpoint/save-model.js';
import { type DecoderBatch, decoderBatchFromPadded } from '../../src/data/batch.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import { printProgram } from '../../src/graph/print.js';
import { makeProgram } from '../../src/graph/program.js';
import { defineModel } from '../../src/models/index.js';
import type { TensorOf } from '../../src/tensor.js';
import { readJsonFile } from '../data/stored-data.js';

export type Json = Readonly<Record<string, unknown>>;

/** All that a configuration decides about a model, as text: two configurations of the same text are the same model. */
export function modelText(config: Json): string {
  const { forward, tensorName: _, ...data } = defineModel(config);
  const graphs = [true, false].map((answersOnlyInLastBlock) => {
    const { logits, hidden } = forward({ answersOnlyInLastBlock });
    return printProgram(makeProgram(new Map([['logits', logits], ...hidden.map((x, at) => [`${at}`, x] as const)])));
  });
  return [JSON.stringify(data, undefined, 1), ...graphs].join('\n');
}

/** A folder with another configuration over the weight files of a stored model, and further files. */
export function variantFolder(path: string, model: string, changes: Json): string {
  mkdirSync(path);
  const config = readJsonFile<Json>(join(model, 'config.json'));
  writeFileSync(join(path, 'config.json'), JSON.stringify({ ...config, ...changes }));
  for (const file of readdirSync(model)) {
    if (/^model(-\d+-of-\d+)?\.safetensors$/.test(file)) symlinkSync(join(model, file), join(path, file));
    if (file.endsWith('index.json')) copyFileSync(join(model, file), join(path, file));
  }
  return path;
}

/** A folder with a configuration and weights made by `value`, by parameter name. */
export async function freshFolder(
  path: string,
  config: Json,
  value: (name: string, count: number) => Float32Array,
): Promise<string> {
  const tensors = new Map(
    defineModel(config).parameters.map(({ name, shape }) => {
      const count = shape.reduce((product, size) => product * size, 1);
      return [name, { dtype: 'f32' as const, shape, data: value(name, count) }];
    }),
  );
  mkdirSync(path);
  await saveNewModel(path, { config: { ...config }, tensors, files: new Map() });
  return path;
}

/** One sequence, every token asked. @param positions default: 0, 1, 2, ... */
export function sequence(ids: readonly number[], positions = ids.map((_, at) => at)): DecoderBatch {
  return decoderBatchFromPadded({
    shape: [1, ids.length],
    inputIds: ids,
    attentionMask: ids.map(() => 1),
    labels: ids.map(() => 0),
    positionIds: positions,
  });
}

/** [answers, vocabulary], one row after another. */
export async function logitsOf(folder: string, batch: DecoderBatch): Promise<Float32Array> {
  const model = await LanguageModel.open(folder, { inThread: true, threads: 1 });
  try {
    const editable = await model.editing(model.layers());
    const frozen = await editable.freeze(batch);
    const logits = await editable.logits(frozen, editable.base);
    return (await model.runtime.download<TensorOf<'f32'>>(logits)).data;
  } finally {
    await model.close();
  }
}
