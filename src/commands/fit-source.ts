// Where a fit starts: configuration, tokenizer and, from a checkpoint, weights.

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { findWeights, type ModelFolder, openModelFolder } from '../checkpoint/model-folder.js';
import { readJson } from '../checkpoint/read-json.js';
import { readTensor } from '../checkpoint/stored-tensor.js';
import type { Example } from '../data/record.js';
import { matchTensors } from '../engine/match-tensors.js';
import { MalmenError } from '../errors.js';
import { defineModel } from '../models/index.js';
import type { ModelDefinition, ParameterSpec } from '../models/model.js';
import type { TensorOf } from '../tensor.js';
import { inputLayouts } from '../tokenizer/input-layout.js';
import { assertFits, parseTokenizer, readTokenizerJson, type Tokenizer } from '../tokenizer/tokenizer.js';
import { trainByteLevelBpe } from '../tokenizer/train-bpe.js';
import { initialWeights } from '../train/lm-trainer.js';
import { writeFileAtomic } from '../util/atomic-file.js';
import type { ModelKind } from '../util/model-kind.js';
import { Random } from '../util/random.js';
import type { CommandContext } from './events.js';
import { findModel } from './model-source.js';
import type { FitOptions } from './options.js';

export interface FitSource {
  readonly config: Record<string, unknown>;
  readonly definition: ModelDefinition;
  readonly tokenizerJson: string;
  readonly tokenizer: Tokenizer;
  /** Weights to start from; undefined for a fresh model. */
  readonly weights: ReadonlyMap<string, TensorOf<'f32'>> | undefined;
}

/**
 * Opens what `--config` names: a configuration, a checkpoint's folder, or a name on the hub.
 * @throws MalmenError where it is not there, contradicts itself, or has no tokenizer
 */
export async function openFitSource(
  options: FitOptions,
  examples: readonly Example[],
  context: CommandContext,
): Promise<FitSource> {
  const { config: named, weights: file, vocabulary, seed } = options;
  const given = await stat(named).catch(() => undefined);
  const path = given ? named : (await findModel(named, context)).dir;
  const isFolder = given?.isDirectory() ?? true;
  const folder = isFolder ? path : join(path, '..');
  const known = await readJson(isFolder ? join(path, 'config.json') : path);
  const { kind } = defineModel(known);
  const tokenizerJson = await openVocabulary(options, folder, kind, examples);
  const tokenizer = parseTokenizer(tokenizerJson, 'tokenizer.json');
  const config = vocabulary ? { ...known, ...vocabularyConfig(tokenizer, kind) } : known;
  const definition = defineModel(config);
  assertFits(tokenizer, definition.vocabularySize, folder);
  const hasWeights = file !== undefined || (isFolder && (await findWeights(path)) !== undefined);
  const weights = hasWeights
    ? await readWeights(await openModelFolder(folder, { weights: file }), definition, seed)
    : undefined;
  return { config, definition, tokenizerJson, tokenizer, weights };
}

/** A run's own tokenizer is learnt once and kept in its folder: a resumed run must go on with the same ids. */
async function openVocabulary(
  { vocabulary, out }: FitOptions,
  folder: string,
  kind: ModelKind,
  examples: readonly Example[],
): Promise<string> {
  if (vocabulary === undefined) return readTokenizer(folder, out);
  const path = join(out, 'tokenizer.json');
  const known = await readFile(path, 'utf8').catch(() => undefined);
  const json = known ?? learnVocabulary(examples, vocabulary, kind);
  if (known === undefined) await writeFileAtomic(path, json);
  return json;
}

/** What a model of a kind reads of an example, as texts. */
const textsOf: Readonly<Record<ModelKind, (example: Example) => readonly string[]>> = {
  decoder: ({ prompt, answer }) => [`${prompt} ${answer}`],
  'encoder-decoder': ({ prompt, answer }) => [prompt, answer],
  classifier: ({ prompt }) => [prompt],
};

function learnVocabulary(examples: readonly Example[], size: number, kind: ModelKind): string {
  return trainByteLevelBpe(examples.flatMap(textsOf[kind]), size, inputLayouts[kind]);
}

/** What `config.json` says of a fresh vocabulary. */
function vocabularyConfig({ vocabularySize, endOfText }: Tokenizer, kind: ModelKind): Record<string, number> {
  const ends = endOfText === undefined ? {} : { eos_token_id: endOfText };
  if (kind === 'decoder') {
    return { vocab_size: vocabularySize, ...(endOfText === undefined ? {} : { bos_token_id: endOfText }), ...ends };
  }
  const start = kind === 'encoder-decoder' ? { decoder_start_token_id: 0 } : {};
  return { vocab_size: vocabularySize, pad_token_id: 0, ...start, ...ends };
}

async function readTokenizer(folder: string, out: string): Promise<string> {
  const json = await readTokenizerJson(folder);
  if (json !== undefined) return json;
  throw new MalmenError(
    'not-found',
    `${join(folder, 'tokenizer.json')}: no tokenizer beside the configuration; add one, or pass --vocabulary N to train one ` +
      `into ${out}`,
  );
}

/** A checkpoint may lack the task's head, which then starts afresh; everything else must be there. */
async function readWeights(
  folder: ModelFolder,
  definition: ModelDefinition,
  seed: number,
): Promise<Map<string, TensorOf<'f32'>>> {
  const names = new Set(folder.tensors.keys());
  const isFresh = ({ name, isHead }: ParameterSpec) => isHead && !names.has(definition.tensorName(name, names));
  const fresh = definition.parameters.filter(isFresh);
  const stored = definition.parameters.filter((spec) => !fresh.includes(spec));
  const weights = initialWeights(fresh, Random.stream(seed, 'head'));
  for (const [name, entry] of matchTensors({ ...definition, parameters: stored }, folder)) {
    weights.set(name, (await readTensor(entry)) as TensorOf<'f32'>);
  }
  return weights;
}
