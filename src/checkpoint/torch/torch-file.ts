// A torch.save file: the value that was saved, with its tensors where they lie in the file; either layout, the zip archive of
// today and the older row of pickles. Nothing is executed, no tensor is read. Knows no model.

import type { FileHandle } from 'node:fs/promises';
import { realpath } from 'node:fs/promises';
import { fileError, MalmenError } from '../../errors.js';
import { withFile } from '../read-file.js';
import { isLegacy, readLegacy } from './legacy-layout.js';
import type { SavedValue } from './saved-value.js';
import { isZip, readArchive } from './zip-layout.js';

export interface TorchFile extends SavedValue {
  /** Absolute, symbolic links resolved. */
  readonly path: string;
}

/** How many bytes tell the formats apart. */
const magicBytes = 16;

/** @throws MalmenError that names the file: not one of torch.save's, truncated, or asking for more than tensors */
export async function readTorchFile(file: string): Promise<TorchFile> {
  const path = await realpath(file).catch((error) => {
    throw fileError(error, file, 'reading');
  });
  return withFile(path, async (handle) => {
    const info = await handle.stat();
    if (!info.isFile())
      throw new MalmenError('bad-input', `${file}: a file of torch.save was expected, this is no file`);
    const place = { handle, path, size: info.size };
    return { path, ...(await readSaved(place, await firstBytes(handle))) };
  });
}

/** Whether these first bytes of a file are those of torch.save. */
export function looksLikeTorch(first: Uint8Array): boolean {
  return isZip(first) || isLegacy(first);
}

/** Fewer where the file is shorter. */
export async function firstBytes(handle: FileHandle): Promise<Uint8Array> {
  const bytes = new Uint8Array(magicBytes);
  const { bytesRead } = await handle.read(bytes, 0, magicBytes, 0);
  return bytes.subarray(0, bytesRead);
}

async function readSaved(
  place: { readonly handle: FileHandle; readonly path: string; readonly size: number },
  first: Uint8Array,
): Promise<SavedValue> {
  if (isZip(first)) return readArchive(place);
  if (isLegacy(first)) return readLegacy(place);
  throw new MalmenError('bad-input', `${place.path}: not a file of torch.save${guess(first)}`);
}

/** What people give instead. */
function guess(first: Uint8Array): string {
  const text = Buffer.from(first).toString('latin1');
  if (first.length === 0) return ': it is empty';
  if (/^\s*<(!doctype|html|\?xml)/i.test(text)) return ': it is a web page; the download failed';
  if (text.startsWith('version https://'))
    return ': it is a pointer of Git LFS; fetch the file itself with `git lfs pull`';
  if (first[0] === 0x80) return ': it is a pickle of another program, which is not opened';
  if (text.startsWith('\x1f\x8b')) return ': it is compressed with gzip; unpack it first';
  return '';
}
