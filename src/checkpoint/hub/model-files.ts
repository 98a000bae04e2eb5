// Which files of a repository a model needs here. Knows no request.

import { MalmenError } from '../../errors.js';
import { isIndex, weightFiles } from '../model-folder.js';

/** What is opened, copied beside edited weights, or expected by other programs that open such a folder. */
const besideWeights: ReadonlySet<string> = new Set([
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'vocab.txt',
  'spiece.model',
  'tokenizer.model',
]);

export interface ModelFiles {
  readonly small: readonly string[];
  /** The file of weights, or the index of its shards. */
  readonly weights: string;
  readonly isSharded: boolean;
}

/** @throws MalmenError when the repository holds no model that can be opened */
export function modelFiles(name: string, files: readonly string[]): ModelFiles {
  const weights = weightFiles.find((file) => files.includes(file));
  if (weights === undefined || !files.includes('config.json')) {
    const shown = files.slice(0, 12).join(', ');
    throw new MalmenError(
      'unsupported',
      `${name}: holds no config.json with one of ${weightFiles.join(', ')}; it has ${shown}${files.length > 12 ? ', ...' : ''}`,
    );
  }
  return { small: files.filter((file) => besideWeights.has(file)), weights, isSharded: isIndex(weights) };
}
