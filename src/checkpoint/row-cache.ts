// Rows that are costly to compute, kept on disk by key: a folder of safetensors files, each written whole or not at all, that
// together stay within a limit. Nothing here is the only copy: what is damaged is dropped. Knows no model.

import { mkdir, readdir, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { fileError, MalmenError } from '../errors.js';
import { f32 } from '../tensor.js';
import { bytesOf } from '../util/bytes-of.js';
import { readSafetensorsHeader, tensorSource, writeSafetensors } from './safetensors.js';
import { readTensor, type TensorEntry } from './stored-tensor.js';

const format = 'malmen-rows-1';
const fileName = (number: number) => `rows-${String(number).padStart(6, '0')}.safetensors`;
const fileNumber = (name: string) => Number(/^rows-(\d+)\.safetensors$/.exec(name)?.[1] ?? Number.NaN);
/** What a writer that was killed has left. */
const isLeftOver = (name: string) => /^\.rows-\d+\.safetensors\..*\.tmp$/.test(name);

/** More than a record's line in a header, and than everything else there besides the owner. */
const headerBytesPerRecord = 256;

export interface RowCacheOptions {
  /** What the rows were made by: files of anything else are dropped. */
  readonly owner: string;
  /** Of all files together. */
  readonly limitBytes: number;
  /** Told of every file that was dropped, and why. */
  readonly onDropped: (reason: string) => void;
}

interface StoredRows {
  readonly entry: TensorEntry;
  readonly checksum: string;
}

export class RowCache {
  /** Symbolic links resolved, as in the entries of its files. */
  readonly dir: string;
  readonly #options: RowCacheOptions;
  readonly #rows = new Map<string, StoredRows>();
  readonly #fileBytes = new Map<string, number>();
  #next = 1;

  private constructor(dir: string, options: RowCacheOptions) {
    this.dir = dir;
    this.#options = options;
  }

  /** Makes the folder, or takes over what an earlier run has left there. @throws MalmenError where it may not be written */
  static async open(dir: string, options: RowCacheOptions): Promise<RowCache> {
    await mkdir(dir, { recursive: true }).catch((error) => {
      throw fileError(error, dir, 'creating the folder');
    });
    const cache = new RowCache(await realpath(dir), options);
    for (const name of (await readdir(dir)).sort()) {
      if (isLeftOver(name)) await rm(join(dir, name), { force: true });
      else if (!Number.isNaN(fileNumber(name))) await cache.#take(name);
    }
    return cache;
  }

  async #take(name: string): Promise<void> {
    const path = join(this.dir, name);
    this.#next = Math.max(this.#next, fileNumber(name) + 1);
    try {
      await this.#index(path);
    } catch (error) {
      await this.#drop(path, error);
    }
  }

  async #index(path: string): Promise<void> {
    const { metadata, tensors } = await readSafetensorsHeader(path);
    if (metadata.format !== format) throw new MalmenError('mismatch', `${path}: holds no rows of this format`);
    if (metadata.owner !== this.#options.owner) {
      throw new MalmenError('mismatch', `${path}: belongs to ${metadata.owner}, not to ${this.#options.owner}`);
    }
    const checksums = metadata.checksums?.split(' ') ?? [];
    if (checksums.length !== tensors.size) {
      throw new MalmenError('bad-input', `${path}: ${checksums.length} checksums for ${tensors.size} tensors`);
    }
    for (const [at, [key, entry]] of [...tensors].entries()) this.#rows.set(key, { entry, checksum: checksums[at]! });
    this.#fileBytes.set(path, (await stat(path)).size);
  }

  /** Forgets a file and removes it. @throws whatever is no fault of the file's content */
  async #drop(path: string, error: unknown): Promise<void> {
    if (!(error instanceof MalmenError)) throw error;
    for (const [key, { entry }] of this.#rows) if (entry.path === path) this.#rows.delete(key);
    this.#fileBytes.delete(path);
    await rm(path, { force: true }).catch((failed) => {
      throw fileError(failed, path, 'removing');
    });
    this.#options.onDropped(error.message);
  }

  /** Keys that have rows. */
  get count(): number {
    return this.#rows.size;
  }

  /** On disk. */
  get bytes(): number {
    return [...this.#fileBytes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  has(key: string): boolean {
    return this.#rows.has(key);
  }

  /** The rows of a key; undefined where there are none, or none that are as they were written. */
  async read(key: string): Promise<Float32Array | undefined> {
    const stored = this.#rows.get(key);
    if (!stored) return undefined;
    const { entry, checksum } = stored;
    try {
      const data = (await readTensor(entry)).data as Float32Array;
      if (checksumOf(key, data) === checksum) return data;
      throw new MalmenError('bad-input', `${entry.path}: '${key}' is not what was written; the file is damaged`);
    } catch (error) {
      await this.#drop(entry.path, error);
      return undefined;
    }
  }

  /** Writes one file of those rows that fit the limit; keys that have rows already stay as they are. */
  async write(rows: ReadonlyMap<string, Float32Array>): Promise<void> {
    const chosen = this.#fitting(rows);
    if (chosen.length === 0) return;
    const path = join(this.dir, fileName(this.#next++));
    const checksums = chosen.map(([key, data]) => checksumOf(key, data)).join(' ');
    await writeSafetensors(
      path,
      chosen.map(([key, data]) => tensorSource(key, f32(data, [data.length]))),
      { format, owner: this.#options.owner, checksums },
    );
    await this.#index(path);
  }

  #fitting(rows: ReadonlyMap<string, Float32Array>): [string, Float32Array][] {
    let left = this.#options.limitBytes - this.bytes - this.#options.owner.length - headerBytesPerRecord;
    return [...rows].filter(([key, { byteLength }]) => {
      if (this.has(key)) return false;
      const needed = byteLength + headerBytesPerRecord;
      if (needed > left) return false;
      left -= needed;
      return true;
    });
  }

  /** Removes the folder. */
  async remove(): Promise<void> {
    this.#rows.clear();
    this.#fileBytes.clear();
    await rm(this.dir, { recursive: true, force: true });
  }
}

/** Of the key too: rows under another's name are damage. */
function checksumOf(key: string, rows: Float32Array): string {
  return crc32(bytesOf(rows), crc32(key)).toString(16);
}
