// Learns a byte-level BPE vocabulary (Sennrich et al. 2016; bytes as in GPT-2) and writes it as a `tokenizer.json`.
// Knows no data set: texts come in, text goes out.

import { byteLevelAlphabet, byteLevelPreTokenizer } from 'tokenizers';
import { MalmenError } from '../errors.js';
import { byteLevelJson } from './byte-level-json.js';
import { type InputLayout, inputLayouts } from './input-layout.js';

/** A pair seen only once teaches the spelling of one text. */
const leastPairCount = 2;

interface Word {
  symbols: string[];
  readonly count: number;
}

/**
 * The text of a `tokenizer.json` with at most `vocabularySize` tokens: the layout's special tokens, then the 256 bytes by their
 * visible characters, then merges from the most frequent pair down. Among equally frequent pairs the lower ids win, so the
 * result does not depend on the order of the texts. (The native package has the same algorithm, but takes neither a size nor
 * special tokens nor texts that are not files.)
 *
 * @throws MalmenError when `vocabularySize` has no room for the bytes
 */
export function trainByteLevelBpe(
  texts: Iterable<string>,
  vocabularySize: number,
  layout: InputLayout = inputLayouts.decoder,
): string {
  const base = [...layout.special, ...byteLevelAlphabet().sort()];
  if (!Number.isInteger(vocabularySize) || vocabularySize < base.length) {
    throw new MalmenError(
      'bad-input',
      `a byte-level vocabulary needs at least ${base.length} tokens (special tokens and every byte), got ${vocabularySize}`,
    );
  }
  const vocabulary = new Map(base.map((token, id) => [token, id]));
  const merges = learnMerges(countWords(texts, layout.prefixSpace), vocabulary, vocabularySize);
  return byteLevelJson({ vocabulary, merges }, layout);
}

/** Words as the tokenizer itself will cut them, in visible characters, one for each byte. */
function countWords(texts: Iterable<string>, prefixSpace: boolean): Word[] {
  const preTokenizer = byteLevelPreTokenizer(prefixSpace, true);
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [word] of preTokenizer.preTokenizeString(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts].map(([word, count]) => ({ symbols: [...word], count }));
}

function learnMerges(
  words: readonly Word[],
  vocabulary: Map<string, number>,
  vocabularySize: number,
): [string, string][] {
  const pairs = new PairIndex(words, vocabulary);
  const merges: [string, string][] = [];
  while (vocabulary.size < vocabularySize) {
    const pair = pairs.mostFrequent();
    if (pair === undefined) break;
    const { left, right, holders } = pair;
    merges.push([left, right]);
    // Always a new token: how a token forms does not depend on what is around it, so no other pair makes the same one.
    vocabulary.set(left + right, vocabulary.size);
    for (const word of [...holders]) {
      pairs.change(word, -1);
      word.symbols = mergePair(word.symbols, left, right);
      pairs.change(word, 1);
    }
  }
  return merges;
}

interface Pair {
  readonly left: string;
  readonly right: string;
  /** Occurrences in all texts. */
  count: number;
  /** Words that hold the pair, or held it before another merge. */
  readonly holders: Set<Word>;
}

/** Counts of adjacent pairs, kept up to date word by word. */
class PairIndex {
  readonly #pairs = new Map<string, Pair>();
  readonly #ids: ReadonlyMap<string, number>;

  constructor(words: readonly Word[], ids: ReadonlyMap<string, number>) {
    this.#ids = ids;
    for (const word of words) this.change(word, 1);
  }

  /** Adds a word's pairs (sign 1) or takes them out (sign -1). */
  change(word: Word, sign: 1 | -1): void {
    for (let at = 0; at + 1 < word.symbols.length; at++) {
      const pair = this.#pair(word.symbols[at]!, word.symbols[at + 1]!);
      pair.count += sign * word.count;
      pair.holders.add(word);
      if (pair.count === 0) this.#pairs.delete(`${pair.left} ${pair.right}`);
    }
  }

  #pair(left: string, right: string): Pair {
    const name = `${left} ${right}`;
    let pair = this.#pairs.get(name);
    if (!pair) {
      pair = { left, right, count: 0, holders: new Set() };
      this.#pairs.set(name, pair);
    }
    return pair;
  }

  /** Undefined when no pair is frequent enough. */
  mostFrequent(): Pair | undefined {
    let best: Pair | undefined;
    for (const pair of this.#pairs.values()) {
      if (pair.count < (best?.count ?? leastPairCount)) continue;
      if (!best || pair.count > best.count || this.#isBefore(pair, best)) best = pair;
    }
    return best;
  }

  #isBefore(a: Pair, b: Pair): boolean {
    const id = (token: string) => this.#ids.get(token)!;
    return id(a.left) < id(b.left) || (a.left === b.left && id(a.right) < id(b.right));
  }
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
