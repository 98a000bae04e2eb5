// The folder of a run that can be killed at any moment and resumed: its settings, its log, and one state file that is always
// whole. Knows nothing of what is trained.

import { appendFile, mkdir, readFile, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { float64Source, readSafetensorsHeader, tensorSource, writeSafetensors } from '../checkpoint/safetensors.js';
import { readFloat64, readTensor } from '../checkpoint/stored-tensor.js';
import { fileError, MalmenError } from '../errors.js';
import type { LazyTensor, TensorOf } from '../tensor.js';
import { refuseFilledFolder, writeFileAtomic } from '../util/atomic-file.js';

export interface RunState {
  /** Steps done. */
  readonly step: number;
  /** Read one by one. */
  readonly tensors: ReadonlyMap<string, LazyTensor>;
  /** What must not be rounded. */
  readonly doubles?: ReadonlyMap<string, Float64Array>;
}

export interface StateToSave extends Omit<RunState, 'tensors'> {
  readonly tensors: ReadonlyMap<string, TensorOf<'f32'> | LazyTensor>;
}

/** All tensors of a state at once, for those who need them so. */
export async function readAll(tensors: RunState['tensors']): Promise<Map<string, TensorOf<'f32'>>> {
  const all = new Map<string, TensorOf<'f32'>>();
  for (const [name, tensor] of tensors) all.set(name, await tensor.read());
  return all;
}

const stateFile = 'training.safetensors';
const logFile = 'log.jsonl';
const resultFile = 'result.json';

export interface OpenRunOptions {
  /** File name of the settings, `fit.json` for instance. */
  readonly settingsFile: string;
  /** Must be the same when a run is resumed; what does not change the result stays out. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly resume: boolean;
  readonly force: boolean;
}

export class RunFolder {
  readonly dir: string;
  readonly #log: string;

  private constructor(dir: string) {
    this.dir = dir;
    this.#log = join(dir, logFile);
  }

  /** @throws MalmenError when a new run's folder is filled, or a resumed run has other settings. */
  static async open(dir: string, options: OpenRunOptions): Promise<{ run: RunFolder; state: RunState | undefined }> {
    const run = new RunFolder(dir);
    if (options.resume && (await exists(join(dir, options.settingsFile)))) {
      await assertSameSettings(join(dir, options.settingsFile), options.settings);
      const state = await loadRunState(dir);
      await run.#cutLog(state?.step ?? 0);
      return { run, state };
    }
    await refuseFilledFolder(dir, options.force);
    if (options.force) await rm(dir, { recursive: true, force: true });
    await mkdir(dir, { recursive: true }).catch((error) => {
      throw fileError(error, dir, 'creating the folder');
    });
    await writeFileAtomic(join(dir, options.settingsFile), `${JSON.stringify(options.settings, null, 2)}\n`);
    return { run, state: undefined };
  }

  /** Replaces the state file in one step. */
  async save(state: StateToSave): Promise<void> {
    await saveRunState(this.dir, state);
  }

  /** Adds a line to the run's log. */
  async log(entry: Readonly<Record<string, unknown>> & { readonly step: number }): Promise<void> {
    await appendFile(this.#log, `${JSON.stringify(entry)}\n`).catch((error) => {
      throw fileError(error, this.#log, 'writing');
    });
  }

  /** Drops log lines of steps after the last saved state, which a resumed run writes again. */
  async #cutLog(step: number): Promise<void> {
    const text = await readFile(this.#log, 'utf8').catch(() => '');
    let keep = 0;
    for (const line of text.split('\n')) {
      if (line === '' || !isLineUpTo(line, step)) break;
      keep += Buffer.byteLength(line) + 1;
    }
    if (text !== '') await truncate(this.#log, Math.min(keep, Buffer.byteLength(text)));
  }

  async removeState(): Promise<void> {
    await rm(join(this.dir, stateFile), { force: true });
  }

  /** Marks the run as finished. */
  async finish(result: object): Promise<void> {
    await writeFileAtomic(join(this.dir, resultFile), `${JSON.stringify(result, null, 2)}\n`);
  }

  /** The result of a run that finished before; undefined for one that did not. */
  async finished<R>(): Promise<R | undefined> {
    const path = join(this.dir, resultFile);
    return (await exists(path)) ? (JSON.parse(await readFile(path, 'utf8')) as R) : undefined;
  }
}

/** A line that a kill cut short is no line. */
function isLineUpTo(line: string, step: number): boolean {
  try {
    return (JSON.parse(line) as { step: number }).step <= step;
  } catch {
    return false;
  }
}

async function assertSameSettings(path: string, settings: Readonly<Record<string, unknown>>): Promise<void> {
  const saved = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  const different = [...new Set([...Object.keys(saved), ...Object.keys(settings)])].filter(
    (key) => JSON.stringify(saved[key]) !== JSON.stringify(settings[key]),
  );
  if (different.length === 0) return;
  const list = different.map((key) => `${key} was ${JSON.stringify(saved[key])}, now ${JSON.stringify(settings[key])}`);
  throw new MalmenError('mismatch', `${path}: cannot resume with other settings: ${list.join('; ')}`);
}

/** Writes the state file of a folder. */
export async function saveRunState(dir: string, { step, tensors, doubles = new Map() }: StateToSave): Promise<void> {
  const floats = [...tensors].map(([name, tensor]) => tensorSource(name, tensor));
  const exact = [...doubles].map(([name, data]) => float64Source(name, data, [data.length]));
  await writeSafetensors(join(dir, stateFile), [...floats, ...exact], { step: String(step) });
}

/** Undefined where a folder has none. */
export async function loadRunState(dir: string): Promise<RunState | undefined> {
  const path = join(dir, stateFile);
  if (!(await exists(path))) return undefined;
  const { metadata, tensors: entries } = await readSafetensorsHeader(path);
  const tensors = new Map<string, LazyTensor>();
  const doubles = new Map<string, Float64Array>();
  for (const [name, entry] of entries) {
    if (entry.dtype === 'f64') doubles.set(name, await readFloat64(entry));
    else
      tensors.set(name, {
        dtype: 'f32',
        shape: entry.shape,
        read: () => readTensor(entry) as Promise<TensorOf<'f32'>>,
      });
  }
  return { step: Number(metadata.step), tensors, doubles };
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
