// The keys that keep the training facts' own answers in place while others are edited, drawn from a training set.

import { knownPairs } from '../data/known-pairs.js';
import { type SplitOptions, splitIntoBatches } from '../data/split-batches.js';
import type { TokenizedRecord } from '../data/tokenized-record.js';
import type { TokenPair } from '../data/tuple.js';
import { metaMethod } from '../editors/editor-folder.js';
import type { PreservedByLayer } from '../editors/preserved-keys.js';
import { type PreservedBatch, preservedMoments } from '../editors/preserved-moments.js';
import type { EditableModel } from '../engine/editable-model.js';
import { MalmenError } from '../errors.js';
import type { EditableLayer } from '../models/model.js';
import { Random } from '../util/random.js';
import type { CommandContext } from './events.js';
import type { TrainOptions } from './options.js';

/**
 * Prompts whose keys are kept in place for each number that a key holds: with few samples for its size a covariance looks
 * far too small in some directions, and edits would go just there (at 1.7 rows, 1,000 facts left .36 of others unchanged).
 */
const preservedPerKeySize = 3;

/** Weight of the preserved keys unless asked otherwise. */
const usualWeight = 1;

/** A fact in some words and, where the data has any, in others. */
export type Wording = readonly [some: TokenPair, other?: TokenPair];

type PreserveOptions = Pick<TrainOptions, 'preserve' | 'wording' | 'seed' | 'batch' | 'editor'>;

/**
 * Prompts whose answers are kept; none for a method without a lambda, and none, with a note, where nobody says what was true.
 * @throws MalmenError `bad-input` when `--preserve` was asked for and no record says what was true
 */
export function preservedWordings(
  records: readonly TokenizedRecord[],
  layers: readonly EditableLayer[],
  { preserve, wording, seed, editor }: PreserveOptions,
  { emit }: CommandContext,
): Wording[] {
  if (preserve === 0 || !metaMethod(editor, false).hasLambda) return [];
  const known = records.flatMap(wording > 0 ? inTwoWordings : inOneWording);
  if (known.length === 0) {
    if (preserve !== undefined) throw new MalmenError('bad-input', `--preserve ${preserve}: ${nothingKnown}`);
    emit({ kind: 'note', text: `no known answers are kept in place: ${nothingKnown}` });
  }
  const largestKey = Math.max(...layers.map(({ keySize }) => keySize));
  const prompts = preservedPerKeySize * largestKey;
  return Random.stream(seed, 'preserved')
    .shuffle(known)
    .slice(0, wording > 0 ? Math.ceil(prompts / 2) : prompts);
}

const inOneWording = (record: TokenizedRecord): Wording[] => knownPairs(record).map((pair) => [pair]);

/** Each wording of a fact with the next one, the last with the first. */
function inTwoWordings(record: TokenizedRecord): Wording[] {
  const pairs = knownPairs(record);
  return pairs.map((pair, at) => (pairs.length === 1 ? [pair] : [pair, pairs[(at + 1) % pairs.length]!]));
}

const nothingKnown = 'it takes records that say what is true before the edit (`was`), and this data has none';

/** Reads all wordings, none where there are none. @throws the signal's reason between two batches */
export async function readPreserved(
  editable: EditableModel,
  known: readonly Wording[],
  { preserve = usualWeight, wording: wordingWeight, batch: batchSize }: PreserveOptions,
  { emit, signal }: CommandContext,
): Promise<PreservedByLayer> {
  if (known.length === 0) return new Map();
  const batches = splitWordings(known, { kind: editable.model.definition.kind, batchSize });
  const onBatch = (done: number) => {
    emit({ kind: 'progress', stage: 'read known facts', done, total: batches.length, unit: 'batches' });
    signal.throwIfAborted();
  };
  onBatch(0);
  return preservedMoments(editable, batches, { weight: preserve, wordingWeight, onBatch });
}

/** Batches of prompts of like lengths, each with one of the same facts in other words. */
function splitWordings(
  known: readonly Wording[],
  { kind, batchSize }: Pick<SplitOptions, 'kind' | 'batchSize'>,
): PreservedBatch[] {
  const length = ([{ prompt, answer }]: Wording) => prompt.length + answer.length;
  const sorted = known.toSorted((a, b) => length(a) - length(b));
  const [single, twofold] = [sorted.filter(([, other]) => !other), sorted.filter(([, other]) => other)];
  const split = (pairs: readonly TokenPair[]) =>
    splitIntoBatches(pairs, { kind, batchSize, sortByLength: false }).map(({ batch }) => batch);
  const others = split(twofold.map(([, other]) => other!));
  return [
    ...split(single.map(([some]) => some)).map((batch) => ({ batch })),
    ...split(twofold.map(([some]) => some)).map((batch, at) => ({ batch, reworded: others[at]! })),
  ];
}
