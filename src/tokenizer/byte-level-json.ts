// A byte-level BPE vocabulary as the text of a `tokenizer.json`. Does not know where the vocabulary came from.

import { type InputLayout, inputLayouts } from './input-layout.js';
import { inputTemplate } from './input-template.js';

export interface ByteLevelBpe {
  /** Token to id; holds every byte, and both parts and the result of every merge. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Pairs of tokens to join, the first one first. */
  readonly merges: readonly (readonly [left: string, right: string])[];
}

/** The layout's special tokens are those that the vocabulary has; by default GPT-2's, which puts nothing around a text. */
export function byteLevelJson(
  { vocabulary, merges }: ByteLevelBpe,
  { special, before, after, prefixSpace }: InputLayout = inputLayouts.decoder,
): string {
  const known = special.flatMap((token) => {
    const id = vocabulary.get(token);
    return id === undefined ? [] : [specialToken(id, token)];
  });
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: known,
    normalizer: null,
    pre_tokenizer: byteLevel(prefixSpace),
    post_processor: inputTemplate(before, after, (token) => vocabulary.get(token)),
    decoder: byteLevel(true),
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary),
      merges,
    },
  });
}

export function specialToken(id: number, content: string) {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

// The decoder ignores `add_prefix_space`; GPT-2's own file says true there.
function byteLevel(addPrefixSpace: boolean) {
  return { type: 'ByteLevel', add_prefix_space: addPrefixSpace, trim_offsets: true, use_regex: true };
}
