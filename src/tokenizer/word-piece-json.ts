// BERT's `vocab.txt` as the text of a `tokenizer.json`, of the kind that the published fast tokenizer has. Where that one and
// the slow one differ (combining accents of a cased vocabulary, private characters), this is the fast one.

import { MalmenError } from '../errors.js';
import { specialToken } from './byte-level-json.js';
import { inputTemplate } from './input-template.js';

export interface WordPieceOptions {
  /** Undefined: the vocabulary tells, an uncased one has no capital letter. */
  readonly lowercase: boolean | undefined;
  /** Undefined: where text is made lower case. */
  readonly stripAccents: boolean | undefined;
  /** Chinese characters become words of their own. */
  readonly splitChinese: boolean;
}

const specialNames = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];

/**
 * @param text one token a line, its id the line's number
 * @param source named in errors
 * @throws MalmenError for a token that comes twice or a special token that is missing
 */
export function wordPieceJson(text: string, source: string, options: WordPieceOptions): string {
  const vocabulary = parseVocabulary(text, source);
  for (const name of specialNames.slice(1, 4)) {
    if (vocabulary.has(name)) continue;
    throw new MalmenError('bad-input', `${source}: token '${name}' is missing; a BERT vocabulary was expected`);
  }
  const special = specialNames.flatMap((name) => {
    const id = vocabulary.get(name);
    return id === undefined ? [] : [specialToken(id, name)];
  });
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special,
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: options.splitChinese,
      strip_accents: options.stripAccents ?? null,
      lowercase: options.lowercase ?? !hasCapitals(vocabulary),
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: inputTemplate(['[CLS]'], ['[SEP]'], (token) => vocabulary.get(token)),
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(vocabulary),
    },
  });
}

function parseVocabulary(text: string, source: string): Map<string, number> {
  const lines = text.split(/\r?\n/u);
  if (lines.at(-1) === '') lines.pop();
  const vocabulary = new Map<string, number>();
  for (const [id, token] of lines.entries()) {
    if (vocabulary.has(token)) {
      throw new MalmenError('bad-input', `${source}:${id + 1}: token '${token}' is there already`);
    }
    vocabulary.set(token, id);
  }
  return vocabulary;
}

function hasCapitals(vocabulary: ReadonlyMap<string, number>): boolean {
  return [...vocabulary.keys()].some((token) => !/^\[.*\]$/u.test(token) && /[A-Z]/.test(token));
}
