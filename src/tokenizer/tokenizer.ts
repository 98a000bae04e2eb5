// Text to token ids and back, over a `tokenizer.json`. Knows no model.

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer as Native } from 'tokenizers';
import { MalmenError } from '../errors.js';

export interface Tokenizer {
  /** The highest id, plus one. */
  readonly vocabularySize: number;
  /** The token that ends a text, where there is one. */
  readonly endOfText?: number;
  /** Ids of each text; no special tokens are added. */
  encode(texts: readonly string[]): Promise<readonly (readonly number[])[]>;
  /** Text of each list of ids; special tokens are left out. */
  decode(lists: readonly (readonly number[])[]): Promise<readonly string[]>;
}

/** Tokens that end a text, by the names that tokenizers give them. */
const endNames = ['<|endoftext|>', '</s>', '<|end_of_text|>', '<|im_end|>'];

/** @throws MalmenError when the folder has no tokenizer, or one that cannot be read. */
export async function openTokenizer(folder: string): Promise<Tokenizer> {
  const path = join(folder, 'tokenizer.json');
  if (!(await stat(path).catch(() => undefined))) {
    throw new MalmenError('not-found', `${folder}: no tokenizer.json; copy the model's own into the folder`);
  }
  return parseTokenizer(await readFile(path, 'utf8'), path);
}

/** @param source named in errors */
export function parseTokenizer(json: string, source: string): Tokenizer {
  let native: Native;
  try {
    native = Native.fromString(json);
  } catch (error) {
    throw new MalmenError('bad-input', `${source}: not a tokenizer that can be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const endOfText = endNames.map((name) => native.tokenToId(name)).find((id) => id !== null && id !== undefined);
  const highest = Object.values(native.getVocab(true)).reduce((most, id) => Math.max(most, id), -1);
  return {
    vocabularySize: highest + 1,
    ...(endOfText === undefined || endOfText === null ? {} : { endOfText }),
    async encode(texts) {
      const encodings = await native.encodeBatch([...texts], { addSpecialTokens: false });
      return encodings.map((encoding) => encoding.getIds());
    },
    decode: (lists) =>
      native.decodeBatch(
        lists.map((ids) => [...ids]),
        true,
      ),
  };
}

/** @throws MalmenError `mismatch` when the tokenizer can make ids that the model has no embedding for. */
export function assertFits(tokenizer: Tokenizer, vocabularySize: number, folder: string): void {
  if (tokenizer.vocabularySize <= vocabularySize) return;
  throw new MalmenError(
    'mismatch',
    `${folder}: the tokenizer makes ids up to ${tokenizer.vocabularySize - 1}, the model knows ${vocabularySize} tokens; ` +
      'take the tokenizer that the model was trained with',
  );
}
