// Text to token ids and back, over a `tokenizer.json`, GPT-2's `vocab.json` and `merges.txt`, or BERT's `vocab.txt`. Knows no
// model.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer as Native } from 'tokenizers';
import { fileError, MalmenError } from '../errors.js';
import { byteLevelJson } from './byte-level-json.js';
import { wordPieceJson } from './word-piece-json.js';

/** Text to token ids and back. */
export interface Tokenizer {
  /** The highest id, plus one. */
  readonly vocabularySize: number;
  /** The token that ends a text, where there is one. */
  readonly endOfText?: number;
  /** Ids of each text, however long; no special tokens are added, but those that a text spells out are recognised. */
  encode(texts: readonly string[]): Promise<readonly (readonly number[])[]>;
  /** Ids of texts that are to be continued: with the tokens that this tokenizer starts an input with (`<s>`), where it does. */
  encodePrompts(texts: readonly string[]): Promise<readonly (readonly number[])[]>;
  /** Ids of texts that continue a prompt, joined to it by exactly one space whether or not the tokenizer adds its own. */
  encodeAnswers(texts: readonly string[]): Promise<readonly (readonly number[])[]>;
  /** Ids of texts that are whole inputs: with all special tokens that this tokenizer puts around one. */
  encodeInput(texts: readonly string[]): Promise<readonly (readonly number[])[]>;
  /** Text of each list of ids; special tokens are left out. */
  decode(lists: readonly (readonly number[])[]): Promise<readonly string[]>;
}

/** A token by its id or by its text. */
export type TokenName = number | string;

/** Tokens that end a text, by the names that tokenizers give them. */
const endNames = ['<|endoftext|>', '</s>', '<|end_of_text|>', '<|im_end|>'];

/**
 * The tokenizer of a model folder. The end of text is what `config.json` or else `tokenizer_config.json` says, where the
 * tokenizer has that token (configurations often keep another model's default), or else a token with a usual name.
 *
 * @throws MalmenError when the folder has no tokenizer, or one that cannot be read
 */
export async function openTokenizer(folder: string): Promise<Tokenizer> {
  const json = await readTokenizerJson(folder);
  if (json === undefined) {
    throw new MalmenError(
      'not-found',
      `${folder}: no tokenizer; looked for tokenizer.json, for vocab.json with merges.txt, and for vocab.txt; ` +
        "copy the model's own into the folder",
    );
  }
  return parseTokenizer(json, join(folder, 'tokenizer.json'), await declaredEnds(folder));
}

/** The text of a folder's `tokenizer.json`, or of the one that its older files make; undefined where it has none of them. */
export async function readTokenizerJson(folder: string): Promise<string | undefined> {
  return (
    (await readOptional(join(folder, 'tokenizer.json'))) ??
    (await readGpt2Pair(folder)) ??
    (await readWordPieces(folder))
  );
}

/**
 * @param source named in errors
 * @param ends what may end a text, the first that the tokenizer has is taken; before the usual names
 */
export function parseTokenizer(json: string, source: string, ends: readonly TokenName[] = []): Tokenizer {
  const native = parseNative(json, source);
  const endOfText = findToken(native, [...ends, ...endNames]);
  const highest = Object.values(native.getVocab(true)).reduce((most, id) => Math.max(most, id), -1);
  return {
    vocabularySize: highest + 1,
    ...(endOfText === undefined ? {} : { endOfText }),
    encode: (texts) => encodeAll(native, texts, false),
    async encodePrompts(texts) {
      const start = await startTokens(native);
      const lists = await encodeAll(native, texts, false);
      return lists.map((ids) => (start.length > 0 && ids[0] === start[0] ? ids : [...start, ...ids]));
    },
    async encodeAnswers(texts) {
      const join = (await addsSpace(native)) ? '' : ' ';
      return encodeAll(
        native,
        texts.map((text) => join + text.trim()),
        false,
      );
    },
    encodeInput: (texts) => encodeAll(native, texts, true),
    decode: (lists) =>
      native.decodeBatch(
        lists.map((ids) => [...ids]),
        true,
      ),
  };
}

/** Beside its ids, an encoding holds ten times their memory until it is collected: more at a time would only pile up. */
const textsAtOnce = 1024;

async function encodeAll(native: Native, texts: readonly string[], addSpecialTokens: boolean): Promise<number[][]> {
  const ids: number[][] = [];
  for (let start = 0; start < texts.length; start += textsAtOnce) {
    const encodings = await native.encodeBatch(texts.slice(start, start + textsAtOnce), { addSpecialTokens });
    for (const encoding of encodings) ids.push(encoding.getIds());
  }
  return ids;
}

/** Stands for any text, where only what a tokenizer puts around it matters. */
const anyText = 'a';

/** What the tokenizer puts in front of a text. What it puts behind ends a text, and a prompt is not ended. */
async function startTokens(native: Native): Promise<number[]> {
  const [[plain], [framed]] = [await encodeAll(native, [anyText], false), await encodeAll(native, [anyText], true)];
  const isPlain = (_: number, at: number) => plain!.every((id, next) => framed![at + next] === id);
  return framed!.slice(0, Math.max(0, framed!.findIndex(isPlain)));
}

/** Marks of a space at the start of a token: SentencePiece's and that of byte-level vocabularies. */
const spaceMarks = /^[\u2581\u0120]/u;

/** Whether the tokenizer itself puts a space in front of every text, as SentencePiece does. */
async function addsSpace(native: Native): Promise<boolean> {
  const [ids] = await encodeAll(native, [anyText], false);
  return spaceMarks.test(native.idToToken(ids![0]!) ?? '');
}

function parseNative(json: string, source: string): Native {
  try {
    const native = Native.fromString(json);
    // A file may ask for cut or padded texts, as its model was trained; here both are the caller's business.
    native.disableTruncation();
    native.disablePadding();
    return native;
  } catch (error) {
    throw new MalmenError('bad-input', `${source}: not a tokenizer that can be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function findToken(native: Native, names: readonly TokenName[]): number | undefined {
  for (const name of names) {
    const known = typeof name === 'string' ? native.tokenToId(name) : native.idToToken(name) === null ? null : name;
    if (known !== null) return known;
  }
  return undefined;
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

/** GPT-2's two files as one `tokenizer.json`; undefined when both are absent. @throws MalmenError when one is. */
async function readGpt2Pair(folder: string): Promise<string | undefined> {
  const [vocabularyPath, mergesPath] = [join(folder, 'vocab.json'), join(folder, 'merges.txt')];
  const [vocabulary, merges] = [await readOptional(vocabularyPath), await readOptional(mergesPath)];
  if (vocabulary === undefined && merges === undefined) return undefined;
  if (vocabulary === undefined || merges === undefined) {
    const missing = vocabulary === undefined ? vocabularyPath : mergesPath;
    throw new MalmenError(
      'not-found',
      `${missing}: is missing; vocab.json and merges.txt make a tokenizer together only`,
    );
  }
  const entries = Object.entries(parseJsonObject(vocabulary, vocabularyPath)).map(([token, id]) => {
    if (typeof id === 'number') return [token, id] as const;
    throw new MalmenError('bad-input', `${vocabularyPath}: token '${token}' must have a number as its id, got ${id}`);
  });
  return byteLevelJson({ vocabulary: new Map(entries), merges: parseMerges(merges, mergesPath) });
}

/** BERT's `vocab.txt`, read as `tokenizer_config.json` says where it says it; undefined when there is none. */
async function readWordPieces(folder: string): Promise<string | undefined> {
  const path = join(folder, 'vocab.txt');
  const text = await readOptional(path);
  if (text === undefined) return undefined;
  const settingsPath = join(folder, 'tokenizer_config.json');
  const settings = await readOptional(settingsPath);
  const given = settings === undefined ? {} : parseJsonObject(settings, settingsPath);
  const flag = (name: string) => (typeof given[name] === 'boolean' ? given[name] : undefined);
  return wordPieceJson(text, path, {
    lowercase: flag('do_lower_case'),
    stripAccents: flag('strip_accents'),
    splitChinese: flag('tokenize_chinese_chars') ?? true,
  });
}

/** One pair a line, after a line with the version. */
function parseMerges(text: string, path: string): [string, string][] {
  const lines = text.split(/\r?\n/u).map((line, at) => ({ line, number: at + 1 }));
  return lines
    .filter(({ line, number }) => line !== '' && !(number === 1 && line.startsWith('#version')))
    .map(({ line, number }) => {
      const [left, right, ...rest] = line.split(' ');
      if (left && right && rest.length === 0) return [left, right];
      throw new MalmenError(
        'bad-input',
        `${path}:${number}: a merge is two tokens with a space between, got '${line}'`,
      );
    });
}

/** What the folder's configurations say ends a text; nothing when they do not say. */
async function declaredEnds(folder: string): Promise<TokenName[]> {
  const files = ['config.json', 'tokenizer_config.json'].map((name) => join(folder, name));
  const ends = await Promise.all(
    files.map(async (path) => {
      const text = await readOptional(path);
      return text === undefined ? [] : declaredIn(parseJsonObject(text, path));
    }),
  );
  return ends.flat();
}

function declaredIn({ eos_token_id: id, eos_token: token }: Record<string, unknown>): TokenName[] {
  const content = typeof token === 'object' && token !== null && 'content' in token ? token.content : token;
  const isId = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0;
  return [...[id].flat().filter(isId), ...(typeof content === 'string' ? [content] : [])];
}

function parseJsonObject(text: string, path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new MalmenError('bad-input', `${path}: not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new MalmenError('bad-input', `${path}: a JSON object was expected`);
}

/** Undefined when there is no such file. */
async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError(error, path, 'reading');
  }
}
