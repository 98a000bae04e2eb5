// A world small enough to fit and edit within a test: its records, a model configuration, and runners that collect events.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommandContext, CommandEvent } from '../../src/commands/events.js';
import { editOptions, fitOptions, trainOptions } from '../../src/commands/options.js';
import { demoWorld } from './made-up-world.js';

export interface TinyWorld {
  readonly dir: string;
  /** SPEC of all records. */
  readonly data: string;
  path(name: string): string;
  remove(): Promise<void>;
}

interface WorldContents {
  /** Of the model to fit. */
  readonly config: object;
  /** How the rows are to be read. */
  readonly kind: string;
  readonly rows: readonly object[];
}

const config = { model_type: 'gpt2', n_layer: 2, n_embd: 32, n_head: 2, n_inner: 128, n_positions: 24 };

export function tinyWorld(records = 60): Promise<TinyWorld> {
  return worldOf({ config, kind: 'jsonl', rows: demoWorld(records, 1) });
}

/** A folder with a configuration and a file of these rows, one a line. */
export async function worldOf({ config, kind, rows }: WorldContents): Promise<TinyWorld> {
  const dir = await mkdtemp(join(tmpdir(), 'malmen-world-'));
  const path = (name: string) => join(dir, name);
  await writeFile(path('world.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  await writeFile(path('config.json'), JSON.stringify(config));
  return { dir, data: `${kind}:${path('world.jsonl')}`, path, remove: () => rm(dir, { recursive: true, force: true }) };
}

/** A context that keeps every event. */
export function collecting(
  signal = new AbortController().signal,
): CommandContext & { readonly events: CommandEvent[] } {
  const events: CommandEvent[] = [];
  return { events, signal, emit: (event) => void events.push(event) };
}

export const fitTiny = (world: TinyWorld, more: object = {}) =>
  fitOptions.parse({
    config: world.path('config.json'),
    data: world.data,
    out: world.path('lm'),
    vocabulary: 400,
    epochs: 90,
    batch: 64,
    learningRate: 4e-3,
    warmup: 10,
    checkpointEvery: 7,
    ...more,
  });

export const trainTiny = (world: TinyWorld, more: object = {}) =>
  trainOptions.parse({
    model: world.path('lm'),
    data: `${world.data}#20:`,
    out: world.path('editor'),
    steps: 6,
    edits: 20,
    batch: 8,
    rank: 16,
    checkpointEvery: 2,
    ...more,
  });

export const editTiny = (world: TinyWorld, more: object = {}) =>
  editOptions.parse({
    model: world.path('lm'),
    editor: world.path('editor'),
    records: `${world.data}#20`,
    out: world.path('edited'),
    ...more,
  });
