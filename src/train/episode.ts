// Draws the facts of one training step: which are edited, in which words they are asked again, which unrelated prompts are
// watched. A function of seed and step alone, so that a resumed training draws what an unbroken one would have drawn.

import type { TokenizedRecord } from '../data/tokenized-record.js';
import type { TokenPair } from '../data/tuple.js';
import { MalmenError } from '../errors.js';
import { Random } from '../util/random.js';

export interface Episode {
  readonly edits: readonly TokenPair[];
  readonly rephrasings: readonly TokenPair[];
  /** One per record that has any. */
  readonly unrelated: readonly TokenPair[];
}

export interface EpisodeOptions {
  readonly seed: number;
  /** Facts edited at once. */
  readonly edits: number;
  /** Draw a new answer among those of the same relation, and any of the fact's prompts as the edit prompt. */
  readonly redraw: boolean;
  /** Fewest facts of a step: each step draws its number between this and `edits`, evenly on a logarithmic scale. */
  readonly fewestEdits?: number | undefined;
}

export class EpisodeSampler {
  readonly #records: readonly TokenizedRecord[];
  readonly #options: EpisodeOptions;
  readonly #answers: ReadonlyMap<string, readonly (readonly number[])[]>;
  #epoch: { readonly number: number; readonly order: readonly TokenizedRecord[] } | undefined;

  constructor(records: readonly TokenizedRecord[], options: EpisodeOptions) {
    if (records.length < options.edits) {
      throw new MalmenError(
        'bad-input',
        `training edits ${options.edits} facts at once, the data has ${records.length}; lower --edits or give more`,
      );
    }
    this.#records = records;
    this.#options = options;
    this.#answers = options.redraw ? answersByRelation(records) : new Map();
  }

  /** No record comes up twice in an epoch. */
  draw(step: number): Episode {
    const { edits, seed } = this.#options;
    const perEpoch = Math.floor(this.#records.length / edits);
    const order = this.#order(Math.floor(step / perEpoch));
    const start = (step % perEpoch) * edits;
    const random = Random.stream(seed, `step ${step}`);
    const fewest = Math.min(this.#options.fewestEdits ?? edits, edits);
    const count = Math.round(fewest * (edits / fewest) ** random.uniform());
    const drawn = order.slice(start, start + count).map((record) => this.#drawFact(record, random));
    return {
      edits: drawn.map(({ edit }) => edit),
      rephrasings: drawn.map(({ rephrasing }) => rephrasing),
      unrelated: drawn.flatMap(({ unrelated }) => unrelated),
    };
  }

  #order(number: number): readonly TokenizedRecord[] {
    if (this.#epoch?.number !== number) {
      this.#epoch = { number, order: Random.stream(this.#options.seed, `epoch ${number}`).shuffle(this.#records) };
    }
    return this.#epoch.order;
  }

  #drawFact({ record, edit, wordings = [], rephrasings, unrelated, was }: TokenizedRecord, random: Random) {
    const unrelatedPick = unrelated.length > 0 ? [random.pick(unrelated)] : [];
    const inOtherWords = [...wordings, ...rephrasings];
    if (!this.#options.redraw) {
      return { edit, rephrasing: inOtherWords.length > 0 ? random.pick(inOtherWords) : edit, unrelated: unrelatedPick };
    }
    const candidates = this.#answers.get(record.relation ?? '') ?? [];
    const others = candidates.filter((answer) => String(answer) !== String(was));
    const answer = others.length > 0 ? random.pick(others) : edit.answer;
    const [first, second] = random.shuffle([edit, ...inOtherWords]);
    const asked = (pair: TokenPair): TokenPair => ({ prompt: pair.prompt, answer });
    return { edit: asked(first!), rephrasing: asked(second ?? first!), unrelated: unrelatedPick };
  }
}

function answersByRelation(records: readonly TokenizedRecord[]): Map<string, (readonly number[])[]> {
  const unique = new Map<string, Map<string, readonly number[]>>();
  for (const { record, edit, was } of records) {
    const known = unique.get(record.relation ?? '') ?? new Map<string, readonly number[]>();
    for (const answer of was ? [edit.answer, was] : [edit.answer]) known.set(String(answer), answer);
    unique.set(record.relation ?? '', known);
  }
  return new Map([...unique].map(([relation, answers]) => [relation, [...answers.values()]]));
}
