// torch.save's zip archive: `NAME/data.pkl` is the pickle, `NAME/data/KEY` the storages. Knows bytes and names, no model.

import { MalmenError } from '../../errors.js';
import { readFully } from '../read-file.js';
import { PickleTruncated } from './pickle-reader.js';
import {
  assertStorageBytes,
  largestPickleBytes,
  type OpenFile,
  type SavedValue,
  unpickleTensors,
} from './saved-value.js';
import { readZipDirectory, type ZipEntry } from './zip-directory.js';

type Entries = ReadonlyMap<string, ZipEntry>;

/** `PK`, the signature of a first entry or of an empty archive. */
export const isZip = (first: Uint8Array) => first[0] === 0x50 && first[1] === 0x4b;

export async function readArchive({ handle, path, size }: OpenFile): Promise<SavedValue> {
  const entries = await readZipDirectory(handle, path, size);
  const root = findRoot(path, entries);
  await assertLittleEndian({ handle, path, size }, entries.get(`${root}byteorder`));
  const pickle = await readEntry({ handle, path, size }, entries.get(`${root}data.pkl`)!);
  const { value, storages } = unpickleWhole(pickle, `${path}: ${root}data.pkl`);
  const offsets = new Map<string, number>();
  for (const storage of storages.values()) {
    const entry = entries.get(`${root}data/${storage.key}`);
    if (!entry) throw new MalmenError('bad-input', `${path}: storage '${storage.key}' is missing from the archive`);
    assertStorageBytes(path, storage, entry.bytes);
    offsets.set(storage.key, entry.offset);
  }
  const checksums = [...entries.values()].map(({ offset, bytes, checksumOffsets }) => ({
    offset,
    bytes,
    storedAt: checksumOffsets,
  }));
  return { value, storageOffsets: offsets, checksums };
}

/** The folder inside the archive, with its slash. */
function findRoot(path: string, entries: Entries): string {
  const pickles = [...entries.keys()].filter((name) => /^[^/]*\/data\.pkl$/.test(name));
  if (pickles.length !== 1) {
    throw new MalmenError(
      'bad-input',
      `${path}: a zip archive, but not one of torch.save: it has ${pickles.length} entries NAME/data.pkl, expected one`,
    );
  }
  const root = pickles[0]!.slice(0, -'data.pkl'.length);
  if (entries.has(`${root}constants.pkl`) || [...entries.keys()].some((name) => name.startsWith(`${root}code/`))) {
    throw new MalmenError(
      'unsupported',
      `${path}: a TorchScript program, which is code; save its state_dict with torch.save instead`,
    );
  }
  return root;
}

async function readEntry({ handle, path }: OpenFile, { name, offset, bytes }: ZipEntry): Promise<Uint8Array> {
  if (bytes > largestPickleBytes) {
    throw new MalmenError(
      'unsupported',
      `${path}: entry '${name}' has ${bytes} bytes, more than names and shapes of tensors take (at most ${largestPickleBytes})`,
    );
  }
  const content = new Uint8Array(bytes);
  await readFully(handle, content, { path, position: offset });
  return content;
}

function unpickleWhole(bytes: Uint8Array, where: string) {
  try {
    return unpickleTensors(bytes, where);
  } catch (error) {
    if (!(error instanceof PickleTruncated)) throw error;
    throw new MalmenError('bad-input', `${where}: the pickle ends early; the file is damaged`, { cause: error });
  }
}

async function assertLittleEndian(file: OpenFile, entry: ZipEntry | undefined): Promise<void> {
  // Older versions did not write it, and ran on little-endian machines.
  if (!entry) return;
  const order = new TextDecoder().decode(await readEntry(file, entry));
  if (order === 'little') return;
  throw new MalmenError(
    'unsupported',
    `${file.path}: saved with byte order '${order.slice(0, 20)}'; only little-endian files are read`,
  );
}
