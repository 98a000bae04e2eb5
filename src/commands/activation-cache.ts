// The cache of a training: what lies below the first edited layer, by prompt, in the run's folder. Says in the beginning how
// large it will be and in the end what it was good for.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RowCache } from '../checkpoint/row-cache.js';
import type { TokenizedRecord } from '../data/tokenized-record.js';
import type { FrozenCache, RecordStore } from '../engine/frozen-cache.js';
import type { Schedule } from '../engine/schedule.js';
import { MalmenError } from '../errors.js';
import { evaluatedPairs } from '../eval/evaluate.js';
import { formatBytes, parseByteSize } from '../util/byte-size.js';
import { freeSpace } from '../util/free-space.js';
import type { CommandContext } from './events.js';
import { frozenSize } from './frozen-size.js';
import type { TrainOptions } from './options.js';
import type { Subject } from './subject.js';
import { tokensOf } from './training-jobs.js';

/** Its folder, in that of the run. */
const folderName = 'cache';

export interface ActivationCache {
  /** Absent where nothing is kept. */
  readonly records?: RecordStore;
  /** After the last step: nothing is kept from now on, and what was kept is removed unless asked otherwise. */
  finish(use: FrozenCache | undefined): Promise<void>;
}

interface CachedTraining {
  readonly options: TrainOptions;
  readonly schedule: Schedule;
}

/** @throws MalmenError `no-space` where the disk has no room for what will be kept */
export async function openActivationCache(
  subject: Subject,
  records: readonly TokenizedRecord[],
  { options, schedule }: CachedTraining,
  { emit }: CommandContext,
): Promise<ActivationCache> {
  const note = (text: string) => emit({ kind: 'note', text: `cache: ${text}` });
  const dir = join(options.out, folderName);
  if (options.cache === undefined) return { finish: () => removeLeftOver(dir, options) };
  const { definition } = subject.model;
  const layers = subject.model.layers(options.layers);
  const expected = frozenSize({ definition, layers, tokens: tokensOf(options), pairs: evaluatedPairs(records) });
  if (expected.bytes === 0) {
    note(
      'not used: below the first edited layer there is nothing worth keeping, or nothing that is one prompt’s alone',
    );
    return { finish: () => removeLeftOver(dir, options) };
  }
  const limitBytes = parseByteSize(options.cache);
  const cache = await RowCache.open(dir, {
    owner: ownerOf(subject, options, schedule),
    limitBytes,
    onDropped: (reason) =>
      emit({ kind: 'warning', text: `cache: ${reason}; the file was removed, its prompts are computed again` }),
  });
  const atLeast = options.redraw && records.some(({ edit }) => edit.answer.length > 1) ? 'at least ' : '';
  note(`${atLeast}${formatBytes(expected.bytes)} for ${expected.prompts} prompts, at most ${options.cache}, in ${dir}`);
  if (cache.count > 0) note(`${cache.count} prompts (${formatBytes(cache.bytes)}) are there from before`);
  if (expected.bytes > limitBytes) note(`prompts beyond the limit are computed at every step, as without a cache`);
  await assertRoom(dir, Math.min(limitBytes, expected.bytes) - cache.bytes);
  return { records: cache, finish: (use) => finish(cache, use, options, note) };
}

/** Of an earlier run that had a cache where this one has none. */
async function removeLeftOver(dir: string, { keepCache }: TrainOptions): Promise<void> {
  if (!keepCache) await rm(dir, { recursive: true, force: true });
}

async function finish(
  cache: RowCache,
  frozen: FrozenCache | undefined,
  { keepCache }: TrainOptions,
  note: (text: string) => void,
): Promise<void> {
  frozen?.close();
  const { asked, found } = frozen?.use ?? { asked: 0, found: 0 };
  const share = Math.round((100 * found) / Math.max(1, asked));
  const kept = keepCache ? `${formatBytes(cache.bytes)} stay in ${cache.dir}` : 'removed';
  note(`${share} % of ${asked} prompts did not have to be computed again; ${kept}`);
  if (!keepCache) await cache.remove();
}

/** Whatever the kept numbers depend on, to the last bit. */
function ownerOf({ model, hash }: Subject, options: TrainOptions, schedule: Schedule): string {
  const layers = model.layers(options.layers).map(({ name }) => name);
  return JSON.stringify({ base: hash, layers, dtype: 'float32', device: options.device, schedule });
}

async function assertRoom(dir: string, neededBytes: number): Promise<void> {
  const free = await freeSpace(dir);
  if (neededBytes <= free) return;
  throw new MalmenError(
    'no-space',
    `--cache: ${formatBytes(neededBytes)} will be kept in ${dir}, ${formatBytes(free)} are free there; free some, allow less ` +
      '(--cache 1GB, for instance) or leave the cache out',
  );
}
