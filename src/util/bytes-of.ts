// The memory behind an array, seen as bytes. Knows nothing of what is in it.

/** No copy. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
