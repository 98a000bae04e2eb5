// Where a training starts that continues from another editor: its networks, statistics and optimizer.

import { assertSameBase, readEditorDescription } from '../editors/editor-folder.js';
import { MalmenError } from '../errors.js';
import { loadRunState, type RunState } from '../train/run-folder.js';
import type { TrainOptions } from './options.js';
import type { Subject } from './subject.js';

/** @throws MalmenError when that editor is of another model, method, size or other layers */
export async function startState(
  from: string,
  { hash, name }: Subject,
  layers: readonly string[],
  { editor, rank, blocks, statistics }: Pick<TrainOptions, 'editor' | 'rank' | 'blocks' | 'statistics'>,
): Promise<RunState> {
  const description = await readEditorDescription(from);
  assertSameBase(from, description, hash, name);
  const wanted = { method: editor, rank, blocks, statistics, layers };
  for (const [key, value] of Object.entries(wanted)) {
    const has = description[key as keyof typeof wanted];
    if (String(has) === String(value)) continue;
    throw new MalmenError(
      'mismatch',
      `${from}: cannot start from it: its ${key} is ${has}, asked for is ${value}; give the same`,
    );
  }
  const state = await loadRunState(from);
  if (state) return state;
  throw new MalmenError(
    'not-found',
    `${from}: the state of its training (training.safetensors) is missing; it can edit, but not be trained further`,
  );
}
