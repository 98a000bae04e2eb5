// Files and folders that are either whole or absent: written under a temporary name, flushed, then renamed. What a killed
// process left under a temporary name is removed by the next one that writes the same file or folder; a folder that it was
// about to replace gets its name back.

import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileError, MalmenError } from '../errors.js';

/** Writes a whole file atomically. @throws MalmenError that names the file (no space, permission, missing folder). */
export async function writeFileAtomic(path: string, content: string | Uint8Array): Promise<void> {
  await writeAtomic(path, async (file) => {
    await file.writeFile(content);
  });
}

/** Like {@link writeFileAtomic}, but `write` fills the file piece by piece. If it throws, nothing is left behind. */
export async function writeAtomic(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const temporary = temporaryName(path);
  await removeLeftovers(path);
  try {
    const file = await open(temporary, 'wx');
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await removeQuietly(temporary);
    throw fileError(error, path, 'writing');
  }
}

/**
 * Fills a new folder under a temporary name beside `path`, then renames it into place.
 * An empty folder at `path` is replaced; a filled one only with `force`, and then only after `fill` has succeeded.
 * @returns what `fill` returned
 */
export async function writeFolderAtomic<R>(
  path: string,
  force: boolean,
  fill: (folder: string) => Promise<R>,
): Promise<R> {
  await restoreReplaced(path);
  await refuseFilledFolder(path, force);
  await removeLeftovers(path);
  const temporary = temporaryName(path);
  try {
    await mkdir(dirname(temporary), { recursive: true });
    await mkdir(temporary);
    const filled = await fill(temporary);
    await replaceFolder(temporary, path);
    return filled;
  } catch (error) {
    await removeQuietly(temporary);
    throw fileError(error, path, 'writing');
  }
}

/** @throws MalmenError `exists` when the folder already holds something, other than leftovers, and `force` is not set. */
export async function refuseFilledFolder(path: string, force: boolean): Promise<void> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return;
  if (!info.isDirectory())
    throw new MalmenError('exists', `${path}: is a file, a folder was expected; name another output`);
  if (!force && !(await readdir(path)).every(isLeftover)) {
    throw new MalmenError(
      'exists',
      `${path}: the folder is not empty; name another output folder or pass --force to replace it`,
    );
  }
}

/** The error that led here is the one to report: where even the clean-up is refused, it says why. */
async function removeQuietly(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(() => {});
}

async function replaceFolder(from: string, to: string): Promise<void> {
  const old = temporaryName(to, replacedSuffix);
  const existed = await rename(to, old).then(
    () => true,
    () => false,
  );
  await rename(from, to).catch(async (error) => {
    if (existed) await rename(old, to);
    throw error;
  });
  if (existed) await rm(old, { recursive: true, force: true });
}

/** Names that this process has given: in a container, the next process often has the number of the one that was killed. */
const given = new Set<string>();

/** Of a folder that makes room for the one that takes its name: between the two renames it is the only whole one that is known. */
const replacedSuffix = 'old';

function temporaryName(path: string, suffix = 'tmp'): string {
  const name = `.${basename(path)}.${process.pid}.${randomBytes(4).toString('hex')}.${suffix}`;
  given.add(name);
  return join(dirname(path), name);
}

/** Whether a name is a temporary one of a process that lives no more. */
function isLeftover(name: string): boolean {
  const [, pid] = /^\..+\.(\d+)\.[0-9a-f]{8}\.(?:tmp|old)$/.exec(name) ?? [];
  return pid !== undefined && !(Number(pid) === process.pid ? given.has(name) : lives(Number(pid)));
}

/** A process that may not be signalled lives. */
function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Removes what killed processes left of `path`. It is no reason to fail where that is refused: writing will say so. */
async function removeLeftovers(path: string): Promise<void> {
  for (const leftover of await leftoversOf(path)) await removeQuietly(leftover);
}

/** A process that was killed between the two renames left the old folder without its name. */
async function restoreReplaced(path: string): Promise<void> {
  if (await stat(path).catch(() => undefined)) return;
  const replaced = (await leftoversOf(path)).find((name) => name.endsWith(`.${replacedSuffix}`));
  if (replaced === undefined) return;
  await rename(replaced, path).catch((error) => {
    throw fileError(error, path, 'restoring');
  });
}

async function leftoversOf(path: string): Promise<string[]> {
  const names = await readdir(dirname(path)).catch(() => []);
  const own = names.filter((name) => name.startsWith(`.${basename(path)}.`) && isLeftover(name));
  return own.map((name) => join(dirname(path), name));
}
