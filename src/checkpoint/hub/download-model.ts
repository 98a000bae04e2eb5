// A model of the hub as a folder: from the cache when it is there, else downloaded into it, several files at a time.
// Knows no architecture.

import { join } from 'node:path';
import { MalmenError } from '../../errors.js';
import { freeSpace } from '../../util/free-space.js';
import { readWeightMap } from '../weight-shards.js';
import { downloadBlob } from './download-blob.js';
import { HubCache, missingFiles } from './hub-cache.js';
import { HubClient, type RemoteFile, unreachable } from './hub-client.js';
import { type HubId, hubName, isCommit } from './hub-id.js';
import type { HubSettings } from './hub-settings.js';
import { modelFiles } from './model-files.js';

export interface DownloadOptions {
  readonly settings: HubSettings;
  readonly signal: AbortSignal;
  /** Bytes that are there, of all that are known to be needed. */
  readonly onProgress: (done: number, total: number) => void;
  /** Something that the user should know: an older copy is used. */
  readonly onWarning: (text: string) => void;
  /** Wait before a second attempt. */
  readonly retryWaitMs?: number;
}

export interface ModelSnapshot {
  readonly dir: string;
  readonly commit: string;
}

/** Connections at a time: more bring nothing on one line. */
const parallelFiles = 4;

/**
 * The snapshot of a revision. Without a connection, the one that was downloaded last.
 * @throws MalmenError `interrupted` when the signal is aborted: running again continues
 */
export async function downloadModel(model: HubId, options: DownloadOptions): Promise<ModelSnapshot> {
  const { settings, signal } = options;
  const cache = new HubCache(settings.cacheDir, model);
  if (settings.offline) return offlineSnapshot(model, cache, settings);
  // A commit never changes.
  const cached = isCommit(model.revision) ? await cachedSnapshot(model, cache) : undefined;
  if (cached) return cached;
  try {
    return await new ModelDownload(model, cache, options).run();
  } catch (error) {
    if (signal.aborted) throw interrupted(model, error);
    const known = isUnreachable(error) ? await cachedSnapshot(model, cache) : undefined;
    if (!known) throw error;
    options.onWarning(`${(error as Error).message}. Using the copy of ${hubName(model)} that was downloaded before`);
    return known;
  }
}

const isUnreachable = (error: unknown) => error instanceof MalmenError && error.code === 'unreachable';

function interrupted(model: HubId, cause: unknown): MalmenError {
  return new MalmenError('interrupted', `stopped while downloading ${hubName(model)}; run again to continue`, {
    cause,
  });
}

/** Undefined unless complete. */
async function cachedSnapshot({ revision }: HubId, cache: HubCache): Promise<ModelSnapshot | undefined> {
  const commit = await cache.commitOf(revision);
  if (commit === undefined || (await missingFiles(cache.snapshot(commit))).length > 0) return undefined;
  return { dir: cache.snapshot(commit), commit };
}

async function offlineSnapshot(model: HubId, cache: HubCache, { cacheDir }: HubSettings): Promise<ModelSnapshot> {
  const commit = await cache.commitOf(model.revision);
  const missing = commit === undefined ? [] : await missingFiles(cache.snapshot(commit));
  if (commit !== undefined && missing.length === 0) return { dir: cache.snapshot(commit), commit };
  const lacks = commit === undefined ? 'it was never downloaded' : `its copy lacks ${missing.join(', ')}`;
  throw new MalmenError(
    'not-found',
    `${hubName(model)}: not in the cache ${cacheDir} (${lacks}), and HF_HUB_OFFLINE forbids downloading; unset it once`,
  );
}

class ModelDownload {
  readonly #model: HubId;
  readonly #cache: HubCache;
  readonly #client: HubClient;
  readonly #options: DownloadOptions;
  readonly #stop = new AbortController();
  /** Bytes there, and bytes in all, by file. */
  readonly #there = new Map<string, number>();
  #total = 0;

  constructor(model: HubId, cache: HubCache, options: DownloadOptions) {
    const { settings, signal, retryWaitMs: waitMs = 500 } = options;
    this.#model = model;
    this.#cache = cache;
    this.#options = options;
    // The first failure ends the other connections.
    const either = AbortSignal.any([signal, this.#stop.signal]);
    this.#client = new HubClient(model, { endpoint: settings.endpoint, token: settings.token, signal: either, waitMs });
  }

  async run(): Promise<ModelSnapshot> {
    const { commit, files } = await this.#client.revision();
    const { small, weights, isSharded } = modelFiles(hubName(this.#model), files);
    await this.#cache.prepare();
    await this.#load(commit, isSharded ? [...small, weights] : small);
    const dir = this.#cache.snapshot(commit);
    await this.#load(commit, isSharded ? await this.#shards(join(dir, weights), files) : [weights]);
    await this.#cache.setCommit(this.#model.revision, commit);
    return { dir, commit };
  }

  async #shards(index: string, files: readonly string[]): Promise<string[]> {
    const shards = [...new Set((await readWeightMap(index)).values())];
    const absent = shards.find((shard) => !files.includes(shard));
    if (absent === undefined) return shards;
    throw new MalmenError(
      'mismatch',
      `${index}: names shard '${absent}', which the hub does not have; the repository of ${hubName(this.#model)} is incomplete`,
    );
  }

  async #load(commit: string, names: readonly string[]): Promise<void> {
    const files = await this.#inParallel(names, (name) => this.#client.file(commit, name));
    this.#total += files.reduce((sum, { bytes }) => sum + bytes, 0);
    await this.#assertRoom(files);
    await this.#inParallel(files, (file) => this.#loadFile(commit, file));
  }

  async #loadFile(commit: string, file: RemoteFile): Promise<void> {
    const onBytes = (there: number) => {
      this.#there.set(file.name, there);
      this.#options.onProgress(
        [...this.#there.values()].reduce((sum, bytes) => sum + bytes, 0),
        this.#total,
      );
    };
    const fetch = (from: number) => this.#client.bytes(commit, file.name, from);
    await downloadBlob({ file, path: this.#cache.blob(file.hash), fetch, retry: this.#client.retry, onBytes });
    await this.#cache.link(commit, file.name, file.hash);
  }

  /** What is already there counts as room; better to say so now than after an hour. */
  async #assertRoom(files: readonly RemoteFile[]): Promise<void> {
    const { cacheDir } = this.#options.settings;
    const free = await freeSpace(cacheDir);
    const needed = files.reduce((sum, { bytes }) => sum + bytes, 0);
    if (needed <= free || (await this.#areThere(files))) return;
    throw new MalmenError(
      'no-space',
      `${cacheDir}: ${hubName(this.#model)} needs ${megabytes(needed)}, ${megabytes(free)} are free; free some, or set HF_HUB_CACHE to a folder on another disk`,
    );
  }

  async #areThere(files: readonly RemoteFile[]): Promise<boolean> {
    const sizes = await Promise.all(files.map(({ hash }) => this.#cache.blobBytes(hash)));
    return files.every(({ bytes }, at) => sizes[at] === bytes);
  }

  async #inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
    const results: R[] = [];
    const queue = [...items.entries()];
    const line = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) results[next[0]] = await work(next[1]);
    };
    const lines = Array.from({ length: Math.min(parallelFiles, items.length) }, line);
    try {
      await Promise.all(lines);
    } catch (error) {
      this.#stop.abort();
      await Promise.allSettled(lines);
      throw unreachable(error);
    }
    return results;
  }
}

const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6).toLocaleString('en')} MB`;
