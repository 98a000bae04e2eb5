// Facts that must stay while others are edited (`edit --keep`), and what the model says of made-up subjects: a sample for each round.

import { knownPairs, ownPairs } from '../data/known-pairs.js';
import type { EditRecord } from '../data/record.js';
import { splitIntoBatches } from '../data/split-batches.js';
import type { TokenizedRecord } from '../data/tokenized-record.js';
import type { TokenPair } from '../data/tuple.js';
import type { AnswerBatch } from '../editors/editor.js';
import { MalmenError } from '../errors.js';
import { Random } from '../util/random.js';
import { tokenizeToEdit } from './answer-ends.js';
import { aboutMadeUp } from './made-up-subjects.js';
import type { EditOptions } from './options.js';
import type { Subject } from './subject.js';

/** What must stay. */
export interface KeptPrompts {
  /** Prompts of facts, each under its true answer. */
  readonly known: readonly TokenPair[];
  /** Prompts about made-up subjects: the model has still to answer them. */
  readonly madeUp: readonly TokenPair[];
}

interface Keeping extends Pick<EditOptions, 'keep' | 'keepWordings' | 'keepMadeUp' | 'seed'> {
  /** What `keep` names; not read without it. */
  readonly facts: readonly EditRecord[];
  /** Whether the end of an answer is kept with it. */
  readonly ends: boolean;
}

/**
 * All prompts of the facts to keep (or those of the records alone), none without `--keep`; a fact that is edited in any of its
 * words is not kept.
 * @throws MalmenError `bad-input` when no record says what is true, or none can be asked of made-up subjects
 */
export async function keptPrompts(
  subject: Subject,
  edited: readonly TokenizedRecord[],
  options: Keeping,
): Promise<KeptPrompts> {
  const { keep, keepWordings, keepMadeUp, ends, facts: records } = options;
  if (keep === undefined && keepMadeUp > 0)
    throw new MalmenError('bad-input', `--keep-made-up ${keepMadeUp}: ${noKeep}`);
  if (keep === undefined) return { known: [], madeUp: [] };
  const known = await knownToStay(subject, edited, { keep, keepWordings, records, ends });
  if (keepMadeUp === 0) return { known, madeUp: [] };
  return { known, madeUp: await aboutMadeUp(subject, { edited, records, known }, options) };
}

const noKeep = 'made-up prompts are prompts of the facts to keep about other subjects; add --keep';

interface ToKeep extends Pick<EditOptions, 'keepWordings'> {
  readonly keep: string;
  readonly records: readonly EditRecord[];
  /** Whether the end of an answer is kept with it. */
  readonly ends: boolean;
}

async function knownToStay(
  subject: Subject,
  edited: readonly TokenizedRecord[],
  { keep, keepWordings, records, ends }: ToKeep,
): Promise<TokenPair[]> {
  const changed = new Set(edited.flatMap(ownPairs).map(promptText));
  const stays = (record: TokenizedRecord) => !ownPairs(record).some((pair) => changed.has(promptText(pair)));
  const staying = (await tokenizeToEdit(subject, records, ends)).filter(stays);
  const pairs = staying.flatMap((record) => knownPairs(record, keepWordings));
  if (pairs.length > 0) return pairs;
  throw new MalmenError(
    'bad-input',
    `--keep ${keep}: no record says what is true (\`was\`) of a fact that is not edited; nothing could be kept`,
  );
}

const promptText = ({ prompt }: TokenPair) => String(prompt);

/** What an editor must be like to keep facts. */
interface Keeper {
  readonly rounds: number;
  /** Whether a fact that stands already asks for nothing. */
  readonly isDamped: boolean;
}

/** @throws MalmenError `bad-input` where `--keep` or `--hold` could do nothing good */
export function assertKeeps({ keep, hold }: Pick<EditOptions, 'keep' | 'hold'>, { rounds, isDamped }: Keeper): void {
  if ((keep === undefined && hold === undefined) || (isDamped && rounds > 1)) return;
  const option = keep === undefined ? '--hold' : '--keep';
  const why = isDamped
    ? 'an edit of one round has no second one; add --rounds'
    : 'this one asks as much of a fact that stands already (fine-tuning, mend, or trained with --no-damped)';
  throw new MalmenError('bad-input', `${option} takes effect from the second round of a damped editor on: ${why}`);
}

/** Draws `--keep-prompts` of them anew for every round, the same ones for the same seed. */
export function keptInRound(
  { model: { definition } }: Subject,
  pairs: readonly TokenPair[],
  { keepPrompts, seed, batch: batchSize }: Pick<EditOptions, 'keepPrompts' | 'seed' | 'batch'>,
): (round: number) => readonly AnswerBatch[] {
  return (round) => {
    const drawn = Random.stream(seed, `kept in round ${round}`).shuffle(pairs).slice(0, keepPrompts);
    const splitting = { kind: definition.kind, batchSize, sortByLength: true };
    return splitIntoBatches(drawn, splitting).map(({ batch }) => batch);
  };
}
