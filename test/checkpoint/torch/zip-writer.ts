// Zip archives written by hand, well or badly formed.

import { crc32 } from 'node:zlib';

export interface RawEntry {
  readonly name: string;
  readonly data: Uint8Array;
  /** 0 is stored, 8 deflated. */
  readonly method?: number;
  readonly flags?: number;
  /** Bytes that the directory states, instead of the data's own. */
  readonly claimed?: number;
  /** Position of the local header that the directory states. */
  readonly at?: number;
}

export interface ZipOptions {
  /** Sizes and checksum after the data, as torch writes them. */
  readonly descriptors?: boolean;
  /** All sizes and positions in zip64 records. */
  readonly zip64?: boolean;
}

export function zipOf(entries: readonly RawEntry[], { descriptors = true, zip64 = false }: ZipOptions = {}): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let position = 0;
  const add = (part: Buffer) => {
    parts.push(part);
    position += part.length;
  };
  for (const entry of entries) {
    const at = position;
    const flags = (entry.flags ?? 0) | (descriptors ? 8 : 0);
    // Torch fills the extra field so that data starts at a multiple of 64.
    const padding = (64 - ((position + 30 + entry.name.length + 4) % 64)) % 64;
    add(localHeader(entry, flags, padding));
    add(Buffer.from(entry.data));
    if (descriptors) add(record([[4, 0x08074b50], ...sizes(entry), ...(zip64 ? ([[8, 0]] as const) : [])]));
    directory.push(centralHeader(entry, flags, entry.at ?? at, zip64));
  }
  const start = position;
  for (const line of directory) add(line);
  for (const part of endRecords(entries.length, start, position, zip64)) add(part);
  return Buffer.concat(parts);
}

type Field = readonly [2 | 4 | 8, number];

function record(fields: readonly Field[], ...tail: Uint8Array[]): Buffer {
  const parts = fields.map(([bytes, value]) => {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt(value));
    return part.subarray(0, bytes);
  });
  return Buffer.concat([...parts, ...tail]);
}

const sizes = ({ data, claimed = data.length }: RawEntry): Field[] => [
  [4, crc32(data)],
  [4, claimed],
  [4, claimed],
];

function localHeader(entry: RawEntry, flags: number, padding: number): Buffer {
  const known: Field[] =
    flags & 8
      ? [
          [4, 0],
          [4, 0],
          [4, 0],
        ]
      : sizes(entry);
  const extra = Buffer.concat([Buffer.from('FB'), record([[2, padding]]), Buffer.alloc(padding, 'Z')]);
  return record(
    [
      [4, 0x04034b50],
      [2, 0],
      [2, flags],
      [2, entry.method ?? 0],
      [4, 0],
      ...known,
      [2, entry.name.length],
      [2, extra.length],
    ],
    Buffer.from(entry.name),
    extra,
  );
}

function centralHeader(entry: RawEntry, flags: number, at: number, zip64: boolean): Buffer {
  const { name, data, method = 0, claimed = data.length } = entry;
  const packed = method === 0 ? claimed : data.length;
  const wide = zip64
    ? record([
        [2, 1],
        [2, 24],
        [8, claimed],
        [8, packed],
        [8, at],
      ])
    : Buffer.alloc(0);
  const short = (value: number) => (zip64 ? 0xffffffff : value);
  return record(
    [
      [4, 0x02014b50],
      [2, 0],
      [2, 0],
      [2, flags],
      [2, method],
      [4, 0],
      [4, crc32(data)],
      [4, short(packed)],
      [4, short(claimed)],
      [2, name.length],
      [2, wide.length],
      [2, 0],
      [2, 0],
      [2, 0],
      [4, 0],
      [4, short(at)],
    ],
    Buffer.from(name),
    wide,
  );
}

function endRecords(count: number, start: number, end: number, zip64: boolean): Buffer[] {
  const bytes = end - start;
  const short = [
    [4, 0x06054b50],
    [2, 0],
    [2, 0],
  ] as const;
  if (!zip64) return [record([...short, [2, count], [2, count], [4, bytes], [4, start], [2, 0]])];
  return [
    record([
      [4, 0x06064b50],
      [8, 44],
      [2, 0],
      [2, 0],
      [4, 0],
      [4, 0],
      [8, count],
      [8, count],
      [8, bytes],
      [8, start],
    ]),
    record([
      [4, 0x07064b50],
      [4, 0],
      [8, end],
      [4, 1],
    ]),
    record([...short, [2, 0xffff], [2, 0xffff], [4, 0xffffffff], [4, 0xffffffff], [2, 0]]),
  ];
}
