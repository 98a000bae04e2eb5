// How many columns text takes on a terminal, and text made safe to print in one.
// Knows no stream.

const segmenter = new Intl.Segmenter();
const wide =
  /^(?:\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}|[\u3000-\u303f\uff01-\uff60])/u;
const invisible = /^[\p{M}\p{Cf}]+$/u;

/** Columns of text without control characters: two for East Asian and emoji characters, none for marks. */
export function textWidth(text: string): number {
  let width = 0;
  for (const { segment } of segmenter.segment(text)) width += segmentWidth(segment);
  return width;
}

function segmentWidth(segment: string): number {
  if (invisible.test(segment)) return 0;
  return wide.test(segment) ? 2 : 1;
}

/** Text of at most `columns` columns; what is cut off leaves an ellipsis. */
export function clip(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  let kept = '';
  let width = 0;
  for (const { segment } of segmenter.segment(text)) {
    width += segmentWidth(segment);
    if (width > columns - 1) break;
    kept += segment;
  }
  return columns > 0 ? `${kept}…` : '';
}

/**
 * Lines of at most `columns` columns, broken at spaces; a word that is wider alone stays whole, so that it can be copied (a
 * path, an address), and the terminal breaks it.
 */
export function wrapWords(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const longer = lines.length === 0 ? word : `${lines.at(-1)} ${word}`;
    if (lines.length === 0) lines.push(word);
    else if (textWidth(longer) <= columns) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** Beyond this, a cell of a table ends in an ellipsis: long contexts must not flood the screen. */
const mostCellLines = 4;

/**
 * The lines of a table's cell, none wider than `columns`; words that are wider are broken.
 *
 * @param hanging what lines after the first begin with, so that they do not look like the next row
 */
export function wrapCell(text: string, columns: number, hanging: string): string[] {
  if (textWidth(text) <= columns) return [text];
  const width = columns - hanging.length;
  const lines = wrapWords(text, width).flatMap((line) => pieces(line, width));
  const kept = lines.slice(0, mostCellLines);
  if (lines.length > kept.length) kept[mostCellLines - 1] = clip(lines.slice(mostCellLines - 1).join(' '), width);
  return kept.map((line, at) => (at === 0 ? line : hanging + line));
}

/** A word in pieces of at most `columns` columns, where it can be behind a mark that joins its parts. */
function pieces(word: string, columns: number): string[] {
  if (textWidth(word) <= columns) return [word];
  let fits = '';
  for (const { segment } of segmenter.segment(word)) {
    if (fits !== '' && textWidth(fits + segment) > columns) break;
    fits += segment;
  }
  const joined = /^.*[:/_.,-]/su.exec(fits)?.[0] ?? '';
  const first = joined.length > fits.length / 2 ? joined : fits;
  return [first, ...pieces(word.slice(first.length), columns)];
}

/** Fills up to `columns` columns, so that the text stands at that side. */
export function align(text: string, columns: number, side: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, columns - textWidth(text)));
  return side === 'left' ? text + space : space + text;
}

/** One line: control characters as JSON would escape them, so that generated text cannot steer the terminal. */
export function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => escapes[character] ?? hexEscape(character));
}

/** The same, but lines stay lines. */
export function manyLines(text: string): string {
  return text.split(/\r?\n/).map(oneLine).join('\n');
}

const escapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const hexEscape = (character: string) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
