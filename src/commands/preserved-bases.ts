// The bases that keep the training facts' own answers in place while others are edited, drawn from a training set.

import { splitIntoBatches } from '../data/split-batches.js';
import type { TokenizedRecord } from '../data/tokenized-record.js';
import type { TokenPair } from '../data/tuple.js';
import { metaMethod } from '../editors/editor-folder.js';
import { preservingBases } from '../editors/preserved-keys.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
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

type PreserveOptions = Pick<TrainOptions, 'preserve' | 'seed' | 'batch' | 'editor'>;

/**
 * Prompts whose answers are kept; none for a method without a lambda, and none, with a note, where nobody says what was true.
 * @throws MalmenError `bad-input` when `--preserve` was asked for and no record says what was true
 */
export function preservedPairs(
  records: readonly TokenizedRecord[],
  layers: readonly EditableLayer[],
  { preserve, seed, editor }: PreserveOptions,
  { emit }: CommandContext,
): TokenPair[] {
  if (preserve === 0 || !metaMethod(editor, false).hasLambda) return [];
  const known = records.flatMap(knownPairs);
  if (known.length === 0) {
    if (preserve !== undefined) throw new MalmenError('bad-input', `--preserve ${preserve}: ${nothingKnown}`);
    emit({ kind: 'note', text: `no known answers are kept in place: ${nothingKnown}` });
  }
  const largestKey = Math.max(...layers.map(({ keySize }) => keySize));
  return Random.stream(seed, 'preserved')
    .shuffle(known)
    .slice(0, preservedPerKeySize * largestKey);
}

const nothingKnown = 'it takes records that say what is true before the edit (`was`), and this data has none';

const knownPairs = ({ edit, rephrasings, was }: TokenizedRecord): TokenPair[] =>
  was?.length ? [edit, ...rephrasings].map(({ prompt }) => ({ prompt, answer: was })) : [];

/** Bases by layer in which the keys of `pairs` are white; none for no pairs. */
export async function preservedBases(
  editable: EditableModel,
  pairs: readonly TokenPair[],
  { preserve = usualWeight, batch: batchSize }: PreserveOptions,
  { emit }: CommandContext,
): Promise<LayerTensors> {
  if (pairs.length === 0) return new Map();
  const { kind } = editable.model.definition;
  const batches = splitIntoBatches(pairs, { kind, batchSize, sortByLength: true }).map(({ batch }) => batch);
  const onBatch = (done: number) =>
    emit({ kind: 'progress', stage: 'preserve', done, total: batches.length, unit: 'batches' });
  return preservingBases(editable, batches, preserve, onBatch);
}
