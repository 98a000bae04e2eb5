// A byte-level BPE vocabulary as the text of a `tokenizer.json`, of GPT-2's kind. Does not know where the vocabulary came from.

/** The token that GPT-2's kind of tokenizer ends a text with. */
export const gpt2EndOfText = '<|endoftext|>';

export interface ByteLevelBpe {
  /** Token to id; holds every byte, and both parts and the result of every merge. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Pairs of tokens to join, the first one first. */
  readonly merges: readonly (readonly [left: string, right: string])[];
}

/** No prefix space and no special tokens around a text; `<|endoftext|>`, where the vocabulary has it, is a special token. */
export function byteLevelJson({ vocabulary, merges }: ByteLevelBpe): string {
  const endId = vocabulary.get(gpt2EndOfText);
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: endId === undefined ? [] : [specialToken(endId, gpt2EndOfText)],
    normalizer: null,
    pre_tokenizer: byteLevel(false),
    post_processor: null,
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

function specialToken(id: number, content: string) {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

// The decoder ignores `add_prefix_space`; GPT-2's own file says true there.
function byteLevel(addPrefixSpace: boolean) {
  return { type: 'ByteLevel', add_prefix_space: addPrefixSpace, trim_offsets: true, use_regex: true };
}
