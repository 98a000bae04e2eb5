// The model that is measured: a checkpoint of the user's, or one of GPT-2 small shape in a temporary folder.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeRandomCheckpoint } from './random-checkpoint.js';

/** The shape of GPT-2 small. */
export const gpt2Small = {
  model_type: 'gpt2',
  n_layer: 12,
  n_embd: 768,
  n_head: 12,
  vocab_size: 50257,
  n_positions: 1024,
};

/** Runs `work` on the given model's folder, or on a new one that is removed whatever happens. */
export async function withBenchModel<R>(given: string | undefined, work: (folder: string) => Promise<R>): Promise<R> {
  if (given !== undefined) return work(given);
  const folder = await mkdtemp(join(tmpdir(), 'malmen-bench-'));
  try {
    await writeRandomCheckpoint(folder, gpt2Small, { dtype: 'f32' });
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
