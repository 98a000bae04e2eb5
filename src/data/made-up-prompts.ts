// Prompts about subjects that do not exist: prompts of facts, with tokens of the vocabulary in the place of the subject. What a
// model says of them goes through the same weights as what it says of subjects that nobody named.

import type { Random } from '../util/random.js';
import { framesOf } from './frame.js';
import type { EditRecord } from './record.js';

/** What is needed of a tokenizer. */
export interface Vocabulary {
  readonly vocabularySize: number;
  readonly decode: (lists: readonly (readonly number[])[]) => Promise<readonly string[]>;
}

/** What must not come out. */
export interface Excluded {
  readonly prompts: ReadonlySet<string>;
  readonly subjects: ReadonlySet<string>;
}

interface Drawing {
  readonly count: number;
  readonly random: Random;
  readonly except: Excluded;
}

/** A word of the vocabulary; most names go on behind it. */
const tokensBehindTheFirst = [0, 1, 1, 2];

/** Letters and digits, with the space in front that byte-level vocabularies give to the beginning of a word. */
const isWordlike = /^ ?[\p{L}\p{N}]+$/u;

/** Different prompts, at most `count`: fewer where some come out twice. None where no record names its subject in its prompts. */
export async function madeUpPrompts(
  records: readonly EditRecord[],
  vocabulary: Vocabulary,
  { count, random, except }: Drawing,
): Promise<string[]> {
  const frames = records.flatMap(framesOf);
  if (frames.length === 0) return [];
  const names = await madeUpNames(vocabulary, count, random);
  const others = names.filter((name) => !except.subjects.has(name));
  const prompts = others.map((name) => random.pick(frames).join(name));
  return [...new Set(prompts)].filter((prompt) => !except.prompts.has(prompt));
}

async function madeUpNames(vocabulary: Vocabulary, count: number, random: Random): Promise<string[]> {
  const ids = Array.from({ length: vocabulary.vocabularySize }, (_, id) => id);
  const texts = await vocabulary.decode(ids.map((id) => [id]));
  const words = ids.filter((id) => isWordlike.test(texts[id]!));
  const beginnings = words.filter((id) => texts[id]!.startsWith(' '));
  const first = beginnings.length > 0 ? beginnings : words;
  const drawName = () => {
    const more = Array.from({ length: random.pick(tokensBehindTheFirst) }, () => random.pick(words));
    return [random.pick(first), ...more];
  };
  const names = await vocabulary.decode(Array.from({ length: count }, drawName));
  return names.map((name) => name.trim());
}
