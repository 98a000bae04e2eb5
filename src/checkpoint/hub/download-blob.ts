// One file of the hub into the cache: continued where an earlier attempt stopped, checked against its hash, then renamed.
// Knows no model.

import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { fileError, MalmenError } from '../../errors.js';
import { statIfThere } from '../read-file.js';
import type { RemoteFile } from './hub-client.js';
import { type RetryOptions, retrying, TransientError } from './retry.js';

export interface BlobDownload {
  readonly file: RemoteFile;
  /** Where it goes. */
  readonly path: string;
  /** Its bytes from a position on, or (status 200) from the start. */
  readonly fetch: (from: number) => Promise<Response>;
  readonly retry: RetryOptions;
  /** Bytes of this file that are there, as they come. */
  readonly onBytes: (there: number) => void;
}

/** @throws MalmenError for a wrong hash or a full disk; what was loaded stays for the next attempt unless it is wrong */
export async function downloadBlob(download: BlobDownload): Promise<void> {
  const { file, path, onBytes } = download;
  if ((await statIfThere(path))?.size === file.bytes) return onBytes(file.bytes);
  const partial = `${path}.incomplete`;
  const resumed = ((await statIfThere(partial))?.size ?? 0) > 0;
  await fill(download, partial);
  if (await isRight(file, partial)) return finish(partial, path);
  // What was there before may have been another program's, or cut by a crash: once more from the start.
  await rm(partial);
  if (!resumed) throw wrongHash(file);
  await fill(download, partial);
  if (await isRight(file, partial)) return finish(partial, path);
  await rm(partial);
  throw wrongHash(file);
}

async function finish(partial: string, path: string): Promise<void> {
  await rename(partial, path).catch((error) => {
    throw fileError(error, path, 'writing');
  });
}

function wrongHash({ name, hash }: RemoteFile): MalmenError {
  return new MalmenError(
    'bad-input',
    `${name}: what was downloaded does not have the hash ${hash} that the hub states; it was removed. Run again; if it happens again, something between you and the hub changes files`,
  );
}

/** Loads what is missing, over as many connections as it takes. */
async function fill(download: BlobDownload, partial: string): Promise<void> {
  const { file, retry, onBytes } = download;
  const target = await open(partial, 'a').catch((error) => {
    throw fileError(error, partial, 'writing');
  });
  try {
    let there = (await target.stat()).size;
    if (there > file.bytes) there = await startOver(target);
    onBytes(there);
    const attempt = async () => {
      if (there >= file.bytes) return;
      const response = await download.fetch(there);
      if (response.status !== 206 || rangeStart(response) !== there) there = await startOver(target, response, there);
      assertNoPage(file, response);
      for await (const chunk of chunks(file, response, retry.signal)) {
        await append(target, chunk, partial);
        there += chunk.byteLength;
        onBytes(there);
        if (there > file.bytes) break;
      }
      if (there > file.bytes) there = await tooLong(file, target);
      if (there < file.bytes)
        throw new TransientError(`${file.name}: the connection ended after ${there} of ${file.bytes} bytes`);
    };
    await retrying(attempt, retry, () => there);
    await target.sync();
  } finally {
    await target.close();
  }
}

/** Drops what is there; an answer that begins at 0 has to be written from 0. @throws TransientError for one that begins elsewhere */
async function startOver(target: FileHandle, response?: Response, there = 1): Promise<number> {
  if (there > 0) await target.truncate(0);
  if (response === undefined || response.status === 200) return 0;
  await response.body?.cancel();
  throw new TransientError(`${response.url}: the server sent other bytes than those that were asked for`);
}

async function tooLong({ name, bytes }: RemoteFile, target: FileHandle): Promise<never> {
  await target.truncate(0);
  throw new MalmenError(
    'bad-input',
    `${name}: the server sent more than the ${bytes} bytes that the hub states; nothing of it is kept`,
  );
}

/** First byte of a partial answer: `bytes 100-199/200`. */
function rangeStart({ headers }: Response): number {
  return Number(/^bytes (\d+)-/.exec(headers.get('content-range') ?? '')?.[1] ?? Number.NaN);
}

function assertNoPage({ name }: RemoteFile, { headers, url }: Response): void {
  if (!/^text\/html/.test(headers.get('content-type') ?? '') || name.endsWith('.html')) return;
  throw new MalmenError(
    'bad-input',
    `${name}: the server (${new URL(url).host}) answered with a web page instead of the file; does a proxy or log-in page stand before it?`,
  );
}

/** A server that sends nothing for so long has lost us. */
const silenceMs = 60_000;

/** @throws TransientError when the connection breaks or falls silent */
async function* chunks({ name }: RemoteFile, { body }: Response, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await beforeSilence(reader.read());
      if (done) return;
      yield value as Uint8Array;
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof MalmenError
      ? error
      : new TransientError(`${name}: the connection was lost`, undefined, { cause: error });
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function beforeSilence<T>(reading: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came for ${silenceMs / 1000} seconds`)), silenceMs);
  });
  return Promise.race([reading, silence]).finally(() => clearTimeout(timer));
}

async function append(target: FileHandle, chunk: Uint8Array, path: string): Promise<void> {
  await target.writeFile(chunk).catch((error) => {
    throw fileError(error, path, 'downloading');
  });
}

async function isRight({ hash, bytes }: RemoteFile, path: string): Promise<boolean> {
  const sum: Hash = hash.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${bytes}\0`);
  for await (const piece of createReadStream(path)) sum.update(piece as Buffer);
  return sum.digest('hex') === hash;
}
