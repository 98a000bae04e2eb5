// Learns a byte-level BPE vocabulary (Sennrich et al. 2016; bytes as in GPT-2) and writes it as a `tokenizer.json`.

/** GPT-2's way of cutting text into words before merging: contractions, letters, digits, other signs, spaces. */
const wordPattern = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

const endOfText = '<|endoftext|>';

/** GPT-2 writes each byte as a visible character: printable ones as themselves, the others from U+0100 on. */
function byteCharacters(): string[] {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}

interface Word {
  symbols: string[];
  readonly count: number;
}

/**
 * The text of a `tokenizer.json` with at most `vocabularySize` tokens: end of text is 0, then the bytes, then merges from the
 * most frequent pair down (ties: the lexically first, so the result does not depend on the order of the texts).
 */
export function trainByteLevelBpe(texts: Iterable<string>, vocabularySize: number): string {
  const bytes = byteCharacters();
  const words = countWords(texts, bytes);
  const vocabulary = new Map([endOfText, ...bytes].map((token, id) => [token, id]));
  const merges = learnMerges(words, vocabulary, vocabularySize);
  return tokenizerJson(vocabulary, merges);
}

function countWords(texts: Iterable<string>, bytes: readonly string[]): Word[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [word] of text.matchAll(wordPattern)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const encoder = new TextEncoder();
  return [...counts].map(([word, count]) => ({
    symbols: Array.from(encoder.encode(word), (byte) => bytes[byte]!),
    count,
  }));
}

/** Counts of adjacent pairs, and the words in which each occurs. */
class PairIndex {
  readonly #counts = new Map<string, number>();
  readonly #words = new Map<string, Set<Word>>();

  constructor(words: readonly Word[]) {
    for (const word of words) this.change(word, 1);
  }

  /** Adds a word's pairs (sign 1) or takes them out (sign -1). */
  change(word: Word, sign: 1 | -1): void {
    for (let at = 0; at + 1 < word.symbols.length; at++) {
      const pair = `${word.symbols[at]} ${word.symbols[at + 1]}`;
      this.#counts.set(pair, (this.#counts.get(pair) ?? 0) + sign * word.count);
      const holders = this.#words.get(pair) ?? new Set();
      holders.add(word);
      this.#words.set(pair, holders);
    }
  }

  best(): string | undefined {
    let best: string | undefined;
    let most = 1;
    for (const [pair, count] of this.#counts) {
      if (count > most || (count === most && best !== undefined && pair < best)) [best, most] = [pair, count];
    }
    return best;
  }

  take(pair: string): Set<Word> {
    const holders = this.#words.get(pair)!;
    this.#words.delete(pair);
    return holders;
  }

  drop(pair: string): void {
    this.#counts.delete(pair);
  }
}

function learnMerges(
  words: readonly Word[],
  vocabulary: Map<string, number>,
  vocabularySize: number,
): [string, string][] {
  const pairs = new PairIndex(words);
  const merges: [string, string][] = [];
  while (vocabulary.size < vocabularySize) {
    const pair = pairs.best();
    if (pair === undefined) break;
    const [left, right] = pair.split(' ') as [string, string];
    merges.push([left, right]);
    // Another pair may have made the same token already: then only the merge is new.
    if (!vocabulary.has(left + right)) vocabulary.set(left + right, vocabulary.size);
    for (const word of pairs.take(pair)) {
      pairs.change(word, -1);
      word.symbols = mergePair(word.symbols, left, right);
      pairs.change(word, 1);
    }
    pairs.drop(pair);
  }
  return merges;
}

function mergePair(symbols: readonly string[], left: string, right: string): string[] {
  const merged: string[] = [];
  for (let at = 0; at < symbols.length; at++) {
    const match = symbols[at] === left && symbols[at + 1] === right;
    merged.push(match ? left + right : symbols[at]!);
    if (match) at++;
  }
  return merged;
}

function tokenizerJson(
  vocabulary: ReadonlyMap<string, number>,
  merges: readonly (readonly [string, string])[],
): string {
  const byteLevel = (addPrefixSpace: boolean) => ({
    type: 'ByteLevel',
    add_prefix_space: addPrefixSpace,
    trim_offsets: true,
    use_regex: true,
  });
  const special = {
    id: 0,
    content: endOfText,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  };
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [special],
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
