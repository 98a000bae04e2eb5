// Safetensors files made and read by hand, straight from the format's description: the independent truth of these tests.

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

/** A header (text as it is, or anything as JSON) in front of data; `claimed` is the header length that the file states. */
export function rawFile(path: string, header: unknown, data: Uint8Array = new Uint8Array(), claimed?: number): string {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(claimed ?? text.byteLength));
  writeFileSync(path, Buffer.concat([length, text, data]));
  return path;
}

interface RawTensor {
  readonly dtype: string;
  readonly shape: number[];
  readonly bytes: Buffer;
}

interface RawFile {
  readonly names: string[];
  readonly metadata: unknown;
  readonly tensors: ReadonlyMap<string, RawTensor>;
  readonly dataStart: number;
}

export function parseRawFile(path: string): RawFile {
  const file = readFileSync(path);
  const dataStart = 8 + Number(file.readBigUInt64LE());
  const { __metadata__: metadata, ...fields } = JSON.parse(file.toString('utf8', 8, dataStart));
  const tensors = new Map<string, RawTensor>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries<{
    dtype: string;
    shape: number[];
    data_offsets: [number, number];
  }>(fields)) {
    const bytes = file.subarray(dataStart + data_offsets[0], dataStart + data_offsets[1]);
    tensors.set(name, { dtype, shape, bytes });
  }
  return { names: Object.keys(fields), metadata, tensors, dataStart };
}

/** A file's tensors as text: two files hold the same tensors exactly when their lists are equal. */
export function listTensors({ tensors }: RawFile): string[] {
  const lines = [...tensors].map(([name, { dtype, shape, bytes }]) => `${name} ${dtype} [${shape}] ${sha256(bytes)}`);
  return lines.sort();
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
