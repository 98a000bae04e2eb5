// Where a generated answer ends, and when two answers are the same.

/** A full stop after a word of three letters or more, before a space or the end: "St. Louis" and "U.S." go on. */
const sentenceEnd = /\p{L}{3,}\.(?=\s|$)/u;

/**
 * The generated text up to its natural end: the first newline, or the first full stop that ends a sentence (left out).
 * End-of-text tokens are the caller's business: they are not in the text.
 */
export function cutAtNaturalStop(text: string): string {
  const [line = ''] = text.split('\n');
  const end = sentenceEnd.exec(line);
  return end ? line.slice(0, end.index + end[0].length - 1) : line;
}

/** Whether more text could not change {@link cutAtNaturalStop}. */
export function hasNaturalStop(text: string): boolean {
  return text.includes('\n') || /\p{L}{3,}\.\s/u.test(text);
}

/** For exact match: outer spaces gone, inner ones single, one final full stop dropped; case counts. */
export function normalizeAnswer(text: string): string {
  return text.trim().replace(/\s+/g, ' ').replace(/\.$/, '').trim();
}
