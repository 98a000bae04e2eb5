// Text files, gzip or plain, whole or line by line. Knows nothing of what the text says.

import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { fileError, MalmenError } from '../errors.js';

interface TextLine {
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

/**
 * Yields each line that is not blank; the file is never in memory as a whole.
 * Lines end in a line feed, with or without a carriage return; other separators (U+2028) belong to the text.
 * @throws MalmenError for a missing, damaged or empty file, or one that is not UTF-8
 */
export async function* readLines(path: string, signal?: AbortSignal): AsyncGenerator<TextLine> {
  let line = 0;
  let isEmpty = true;
  let rest = '';
  for await (const piece of textPieces(path)) {
    signal?.throwIfAborted();
    const end = piece.lastIndexOf('\n');
    const lines = end < 0 ? [] : (rest + piece.slice(0, end)).split('\n');
    rest = end < 0 ? rest + piece : piece.slice(end + 1);
    for (const text of lines) {
      line++;
      if (text.trim() === '') continue;
      isEmpty = false;
      yield { line, text: text.endsWith('\r') ? text.slice(0, -1) : text };
    }
  }
  if (rest.trim() !== '') yield { line: line + 1, text: rest };
  else if (isEmpty) throw emptyFile(path);
}

/** The whole text of a file. @throws as {@link readLines} */
export async function readText(path: string, signal?: AbortSignal): Promise<string> {
  let text = '';
  for await (const piece of textPieces(path)) {
    signal?.throwIfAborted();
    text += piece;
  }
  if (text.trim() === '') throw emptyFile(path);
  return text;
}

function emptyFile(path: string): MalmenError {
  return new MalmenError('bad-input', `${path}: the file is empty; it should hold at least one record`);
}

/** The text in pieces of some kilobytes, cut anywhere between characters; a byte order mark is left out. */
async function* textPieces(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let isFirst = true;
  try {
    for await (const bytes of bytesOf(path)) {
      if (isFirst) refuseOtherFormats(bytes as Buffer, path);
      isFirst = false;
      yield decoder.decode(bytes as Buffer, { stream: true });
    }
    yield decoder.decode();
  } catch (error) {
    throw readingError(error, path);
  }
}

/** What spreadsheets write besides UTF-8, by first bytes. */
const otherFormats = [
  { first: [0xff, 0xfe], what: "text in UTF-16, as Excel saves 'Unicode Text'" },
  { first: [0xfe, 0xff], what: 'text in UTF-16' },
  { first: [0x50, 0x4b, 0x03, 0x04], what: 'a workbook (.xlsx, .ods) or another zip file' },
  { first: [0xd0, 0xcf, 0x11, 0xe0], what: 'a workbook of an old Excel (.xls)' },
];

/** @throws MalmenError for a file that a spreadsheet wrote in another format than text in UTF-8 */
function refuseOtherFormats(bytes: Uint8Array, path: string): void {
  const other = otherFormats.find(({ first }) => first.every((byte, at) => bytes[at] === byte));
  if (other === undefined) return;
  throw new MalmenError('bad-input', `${path}: this is ${other.what}; save it as 'CSV UTF-8'`);
}

/** The file's bytes, unpacked when its name ends in `.gz`. */
function bytesOf(path: string): NodeJS.ReadableStream {
  const file = createReadStream(path);
  if (!path.endsWith('.gz')) return file;
  // A failure of either stream ends the second one with that error.
  return pipeline(file, createGunzip(), () => {});
}

function readingError(error: unknown, path: string): unknown {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const because = (text: string) => new MalmenError('bad-input', `${path}: ${text}`, { cause: error });
  if (code.startsWith('Z_')) return because(`not a gzip file, or one that was cut off: ${message}`);
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
    return because("not text in UTF-8; convert it (a spreadsheet saves it as 'CSV UTF-8')");
  return fileError(error, path, 'reading');
}
