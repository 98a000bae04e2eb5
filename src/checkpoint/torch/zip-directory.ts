// The directory of a zip archive whose entries are stored as they are: where each one's bytes lie. Reads nothing compressed,
// so nothing can unfold. With zip64, because checkpoints are large.

import type { FileHandle } from 'node:fs/promises';
import { MalmenError } from '../../errors.js';
import { readFully } from '../read-file.js';

export interface ZipEntry {
  readonly name: string;
  /** First byte in the file. */
  readonly offset: number;
  readonly bytes: number;
  readonly crc32: number;
  /** Where the file holds this entry's CRC-32, 4 bytes little-endian each: they change with its bytes. */
  readonly checksumOffsets: readonly number[];
}

/** A line of the central directory. */
interface Listed {
  readonly name: string;
  readonly bytes: number;
  readonly crc32: number;
  readonly localHeader: number;
  readonly hasDescriptor: boolean;
  readonly checksumOffset: number;
}

interface Archive {
  readonly handle: FileHandle;
  readonly path: string;
  readonly size: number;
}

const localSignature = 0x04034b50;
const centralSignature = 0x02014b50;
const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const locator64Signature = 0x07064b50;
const descriptorSignature = 0x08074b50;

const endBytes = 22;
const locatorBytes = 20;
const localBytes = 30;
const centralBytes = 46;
/** The end record's comment is at most so long. */
const longestComment = 0xffff;
/** A million entries' worth: no checkpoint comes near. */
const largestDirectoryBytes = 128 * 2 ** 20;

/** In both, the value means that the real one is in a zip64 record. */
const in64 = 0xffffffff;
const in64Short = 0xffff;

/**
 * By name, in the order of the directory.
 * @throws MalmenError when an entry is compressed, encrypted, named twice, overlaps another or leaves the file
 */
export async function readZipDirectory(
  handle: FileHandle,
  path: string,
  size: number,
): Promise<ReadonlyMap<string, ZipEntry>> {
  const archive = { handle, path, size };
  const { start, bytes, count } = await findDirectory(archive);
  const listed = parseDirectory(archive, await readAt(archive, start, bytes), start, count);
  const entries = new Map<string, ZipEntry>();
  for (const line of listed) {
    if (entries.has(line.name))
      throw damaged(path, `entry '${line.name}' is there twice; which one is meant is undefined`);
    entries.set(line.name, await locate(archive, line, start));
  }
  assertApart(path, [...entries.values()]);
  return entries;
}

function damaged(path: string, problem: string): MalmenError {
  return new MalmenError('bad-input', `${path}: damaged or truncated zip archive: ${problem}`);
}

async function readAt({ handle, path, size }: Archive, position: number, bytes: number): Promise<DataView> {
  if (position < 0 || position + bytes > size) {
    throw damaged(path, `a part at byte ${position} of ${bytes} bytes lies outside the file's ${size}`);
  }
  const target = new Uint8Array(bytes);
  await readFully(handle, target, { path, position });
  return new DataView(target.buffer);
}

interface DirectoryPlace {
  readonly start: number;
  readonly bytes: number;
  readonly count: number;
}

async function findDirectory(archive: Archive): Promise<DirectoryPlace> {
  const { path, size } = archive;
  const tailBytes = Math.min(size, endBytes + longestComment);
  const tail = await readAt(archive, size - tailBytes, tailBytes);
  for (let at = tailBytes - endBytes; at >= 0; at--) {
    const ends =
      tail.getUint32(at, true) === endSignature && at + endBytes + tail.getUint16(at + 20, true) === tailBytes;
    if (ends) return checkedPlace(archive, await readEnd(archive, tail, at));
  }
  throw damaged(path, 'its directory, which comes last, is missing; the download or copy was cut short');
}

async function readEnd(archive: Archive, tail: DataView, at: number): Promise<DirectoryPlace> {
  const place = {
    count: tail.getUint16(at + 10, true),
    bytes: tail.getUint32(at + 12, true),
    start: tail.getUint32(at + 16, true),
  };
  const is64 = place.count === in64Short || place.bytes === in64 || place.start === in64;
  const position = archive.size - tail.byteLength + at;
  return is64 ? readEnd64(archive, position - locatorBytes) : place;
}

async function readEnd64(archive: Archive, locatorAt: number): Promise<DirectoryPlace> {
  const locator = await readAt(archive, locatorAt, locatorBytes);
  if (locator.getUint32(0, true) !== locator64Signature) throw damaged(archive.path, 'its zip64 locator is missing');
  const end = await readAt(archive, uint64(locator, 8), 56);
  if (end.getUint32(0, true) !== end64Signature) throw damaged(archive.path, 'its zip64 end record is missing');
  return { count: uint64(end, 32), bytes: uint64(end, 40), start: uint64(end, 48) };
}

const uint64 = (view: DataView, at: number) => Number(view.getBigUint64(at, true));

function checkedPlace({ path }: Archive, place: DirectoryPlace): DirectoryPlace {
  if (place.bytes <= largestDirectoryBytes && place.count * centralBytes <= place.bytes) return place;
  throw damaged(path, `a directory of ${place.count} entries in ${place.bytes} bytes cannot be`);
}

function parseDirectory({ path }: Archive, view: DataView, start: number, count: number): Listed[] {
  const listed: Listed[] = [];
  let at = 0;
  while (listed.length < count) {
    if (at + centralBytes > view.byteLength || view.getUint32(at, true) !== centralSignature) {
      throw damaged(path, `entry ${listed.length} of its directory is no entry`);
    }
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => view.getUint16(at + field, true));
    const next = at + centralBytes + nameBytes! + extraBytes! + commentBytes!;
    if (next > view.byteLength) throw damaged(path, `entry ${listed.length} of its directory is cut short`);
    listed.push(parseListed(path, new DataView(view.buffer, view.byteOffset + at, next - at), start + at));
    at = next;
  }
  return listed;
}

function parseListed(path: string, view: DataView, position: number): Listed {
  const flags = view.getUint16(8, true);
  const method = view.getUint16(10, true);
  const nameBytes = view.getUint16(28, true);
  const name = new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + centralBytes, nameBytes));
  if (flags & 1)
    throw new MalmenError('unsupported', `${path}: entry '${name}' is encrypted; torch.save encrypts nothing`);
  if (method !== 0) {
    throw new MalmenError(
      'unsupported',
      `${path}: entry '${name}' is compressed (method ${method}); torch.save stores its entries as they are, and others are not unpacked`,
    );
  }
  const wide = zip64Fields(view, centralBytes + nameBytes, view.getUint16(30, true));
  // In this order, and only those that do not fit.
  const bytes = view.getUint32(24, true) === in64 ? wide.next() : view.getUint32(24, true);
  const packed = view.getUint32(20, true) === in64 ? wide.next() : view.getUint32(20, true);
  const localHeader = view.getUint32(42, true) === in64 ? wide.next() : view.getUint32(42, true);
  if (bytes === undefined || localHeader === undefined) throw damaged(path, `entry '${name}' lacks its zip64 sizes`);
  if (packed !== bytes) throw damaged(path, `entry '${name}' is stored, yet has ${packed} bytes for ${bytes}`);
  return {
    name,
    bytes,
    crc32: view.getUint32(16, true),
    localHeader,
    hasDescriptor: (flags & 8) !== 0,
    checksumOffset: position + 16,
  };
}

/** The 8-byte numbers of the zip64 extra field, one after the other. */
function zip64Fields(view: DataView, start: number, extraBytes: number): { next: () => number | undefined } {
  const numbers: number[] = [];
  const end = start + extraBytes;
  for (let at = start; at + 4 <= end; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue;
    const last = Math.min(end, at + 4 + view.getUint16(at + 2, true)) - 8;
    for (let field = at + 4; field <= last; field += 8) numbers.push(uint64(view, field));
  }
  return { next: () => numbers.shift() };
}

async function locate(archive: Archive, listed: Listed, directoryStart: number): Promise<ZipEntry> {
  const { path } = archive;
  const { name, bytes, crc32, localHeader, hasDescriptor, checksumOffset } = listed;
  const header = await readAt(archive, localHeader, localBytes);
  if (header.getUint32(0, true) !== localSignature) throw damaged(path, `no entry where '${name}' should begin`);
  const offset = localHeader + localBytes + header.getUint16(26, true) + header.getUint16(28, true);
  const end = offset + bytes;
  if (end > directoryStart) throw damaged(path, `entry '${name}' runs into the directory`);
  if (!hasDescriptor) return { name, offset, bytes, crc32, checksumOffsets: [localHeader + 14, checksumOffset] };
  const descriptor = await readAt(archive, end, 4);
  const signed = descriptor.getUint32(0, true) === descriptorSignature;
  return { name, offset, bytes, crc32, checksumOffsets: [signed ? end + 4 : end, checksumOffset] };
}

/** Entries that share bytes are how a small archive pretends to be a large one. */
function assertApart(path: string, entries: readonly ZipEntry[]): void {
  const sorted = [...entries].filter(({ bytes }) => bytes > 0).sort((a, b) => a.offset - b.offset);
  sorted.forEach((entry, at) => {
    const before = sorted[at - 1];
    if (before && before.offset + before.bytes > entry.offset) {
      throw damaged(path, `entries '${before.name}' and '${entry.name}' share bytes`);
    }
  });
}
