// The cache that Python's library shares: `models--OWNER--NAME` with `refs/REVISION` (a commit), `blobs/HASH` (the files) and
// `snapshots/COMMIT/FILE` (links to blobs). Knows no request.

import { mkdir, readFile, stat, symlink, unlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileError } from '../../errors.js';
import { writeFileAtomic } from '../../util/atomic-file.js';
import { findWeights, isIndex } from '../model-folder.js';
import { statIfThere } from '../read-file.js';
import { readWeightMap } from '../weight-shards.js';
import { type HubId, isCommit } from './hub-id.js';

export class HubCache {
  readonly #folder: string;

  constructor(cacheDir: string, { id }: Pick<HubId, 'id'>) {
    this.#folder = join(cacheDir, `models--${id.replaceAll('/', '--')}`);
  }

  blob(hash: string): string {
    return join(this.#folder, 'blobs', hash);
  }

  /** Size of a blob; 0 when it is not there. */
  async blobBytes(hash: string): Promise<number> {
    return (await statIfThere(this.blob(hash)))?.size ?? 0;
  }

  snapshot(commit: string): string {
    return join(this.#folder, 'snapshots', commit);
  }

  async prepare(): Promise<void> {
    await makeFolder(join(this.#folder, 'blobs'));
  }

  /** The commit that a revision last stood for; undefined when it was never asked for. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const text = await readFile(this.#ref(revision), 'utf8').catch(() => '');
    return isCommit(text.trim()) ? text.trim() : undefined;
  }

  async setCommit(revision: string, commit: string): Promise<void> {
    if (isCommit(revision)) return;
    await makeFolder(dirname(this.#ref(revision)));
    await writeFileAtomic(this.#ref(revision), commit);
  }

  #ref(revision: string): string {
    return join(this.#folder, 'refs', revision);
  }

  /** Puts a blob into a snapshot under its name. */
  async link(commit: string, file: string, hash: string): Promise<void> {
    const path = join(this.snapshot(commit), file);
    await makeFolder(dirname(path));
    // An older link may lead to a blob that is gone.
    await unlink(path).catch(() => {});
    await symlink(relative(dirname(path), this.blob(hash)), path).catch((error) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(error, path, 'linking');
    });
  }
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((error) => {
    throw fileError(error, path, 'creating the folder');
  });
}

/** Files that a snapshot lacks to be opened as a model; none when it is complete. */
export async function missingFiles(snapshot: string): Promise<string[]> {
  const has = (name: string) =>
    stat(join(snapshot, name)).then(
      () => true,
      () => false,
    );
  const missing = (await has('config.json')) ? [] : ['config.json'];
  const weights = await findWeights(snapshot);
  if (weights === undefined) return [...missing, 'the weights'];
  if (!isIndex(weights)) return missing;
  for (const shard of new Set((await readWeightMap(join(snapshot, weights))).values())) {
    if (!(await has(shard))) missing.push(shard);
  }
  return missing;
}
