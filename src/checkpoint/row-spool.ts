// Rows that wait on disk until they are wanted once: a file for each list, in a folder that goes with them. They live as long as
// the process that wrote them; nothing is taken over by another. Knows no model.

import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, MalmenError } from '../errors.js';
import { elementCount, f32, type TensorOf } from '../tensor.js';
import { bytesOf } from '../util/bytes-of.js';
import { freeMemory } from '../util/free-memory.js';
import { readFully } from './read-file.js';

/** Matrices of one chunk, by name. */
export type SpooledRows = Readonly<Record<string, TensorOf<'f32'>>>;

const floatBytes = 4;

/** A file, and the shapes of what lies in it, one after another. */
interface List {
  readonly path: string;
  readonly file: FileHandle;
  readonly chunks: Readonly<Record<string, readonly number[]>>[];
}

export class RowSpool {
  readonly #dir: string;
  readonly #lists = new Map<string, List>();

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Makes the folder. @throws MalmenError where that is not possible, or it is there */
  static async open(dir: string): Promise<RowSpool> {
    await mkdir(dir).catch((error) => {
      if (error.code === 'EEXIST')
        throw new MalmenError('exists', `${dir}: rows wait in a folder of their own, and this one is there already; name another`); // biome-ignore format: one line
      throw fileError(error, dir, 'creating the folder');
    });
    return new RowSpool(dir);
  }

  /** Adds a chunk to a list; takes the rows' memory over and frees it. @throws MalmenError that names the file */
  async append(name: string, rows: SpooledRows): Promise<void> {
    const { path, file, chunks } = this.#lists.get(name) ?? (await this.#create(name));
    for (const { data } of Object.values(rows)) {
      await file.writeFile(bytesOf(data)).catch((error) => {
        throw fileError(error, path, 'writing');
      });
    }
    chunks.push(Object.fromEntries(Object.entries(rows).map(([key, { shape }]) => [key, shape])));
    for (const { data } of Object.values(rows)) freeMemory(data);
  }

  async #create(name: string): Promise<List> {
    const path = join(this.#dir, `${this.#lists.size}.rows`);
    const file = await open(path, 'wx+').catch((error) => {
      throw fileError(error, path, 'writing');
    });
    const list = { path, file, chunks: [] };
    this.#lists.set(name, list);
    return list;
  }

  /** The chunks of a list, as they were added; each is the caller's. The list is gone afterwards. */
  async *take(name: string): AsyncGenerator<SpooledRows> {
    const list = this.#lists.get(name);
    if (!list) return;
    let position = 0;
    for (const shapes of list.chunks) {
      const rows: Record<string, TensorOf<'f32'>> = {};
      for (const [key, shape] of Object.entries(shapes)) {
        rows[key] = await readRows(list, shape, position);
        position += floatBytes * elementCount(shape);
      }
      yield rows;
    }
    this.#lists.delete(name);
    await list.file.close();
    await rm(list.path);
  }

  /** Removes the folder with what is left in it. */
  async remove(): Promise<void> {
    for (const { file } of this.#lists.values()) await file.close();
    this.#lists.clear();
    await rm(this.#dir, { recursive: true, force: true });
  }
}

async function readRows({ path, file }: List, shape: readonly number[], position: number): Promise<TensorOf<'f32'>> {
  const data = new Float32Array(elementCount(shape));
  await readFully(file, bytesOf(data), { path, position }).catch((error) => {
    throw fileError(error, path, 'reading');
  });
  return f32(data, shape);
}
