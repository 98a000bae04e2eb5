// The bytes of a pickle, read in order; every number and text is checked to lie inside. Knows no operation.

import { MalmenError } from '../../errors.js';

/** The bytes ended before the pickle did: more of the file may hold the rest. */
export class PickleTruncated extends Error {}

/** Torch's own largest one, the magic number, has 10. */
const longestNumberBytes = 32;

export class PickleReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #where: string;
  #position = 0;

  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#where = where;
  }

  get position(): number {
    return this.#position;
  }

  damaged(problem: string): MalmenError {
    return new MalmenError('bad-input', `${this.#where}: the pickle is damaged at byte ${this.#position}: ${problem}`);
  }

  byte(): number {
    return this.#view.getUint8(this.#take(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  uint64(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  /** Big-endian, unlike everything else in the format. */
  float64(): number {
    return this.#view.getFloat64(this.#take(8), false);
  }

  /** A whole number in two's complement, little-endian: a number where it is exact, a bigint beyond. */
  long(size: number): number | bigint {
    if (size > longestNumberBytes) throw this.damaged(`a whole number of ${size} bytes`);
    const start = this.#take(size);
    let value = 0n;
    for (let at = size - 1; at >= 0; at--) value = (value << 8n) | BigInt(this.#bytes[start + at]!);
    if (size > 0) value = BigInt.asIntN(8 * size, value);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  text(size: number): string {
    const start = this.#take(size);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        this.#bytes.subarray(start, start + size),
      );
    } catch {
      throw this.damaged('a text is not UTF-8');
    }
  }

  /** Up to a line feed, which is left out. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#position);
    if (end < 0) throw new PickleTruncated();
    const text = this.text(end - this.#position);
    this.#position = end + 1;
    return text;
  }

  /** Start of so many bytes, which are then behind. */
  #take(size: number): number {
    if (size < 0) throw this.damaged('a size is negative');
    const start = this.#position;
    if (start + size > this.#bytes.byteLength) throw new PickleTruncated();
    this.#position = start + size;
    return start;
  }
}
