// Where a freely generated answer ends by itself, and when two answers are the same. Knows no tokenizer and no model.

/** Written in front of a name; a full stop after one of these ends nothing. */
const titles = [
  'St',
  'Ste',
  'Mt',
  'Ft',
  'Mr',
  'Mrs',
  'Ms',
  'Dr',
  'Prof',
  'Rev',
  'Gen',
  'Col',
  'Capt',
  'Lt',
  'Sgt',
  'Gov',
  'Sen',
];

/**
 * Text whose last letters are an abbreviation, but for its full stop: a title ("St"), a capital alone ("J"), or a letter
 * after another full stop ("U.S", "p.m").
 */
const abbreviation = new RegExp(`(?:(?<![\\p{L}\\p{N}])(?:${titles.join('|')})|(?<![^\\s(.-])\\p{Lu}|\\.\\p{L})$`, 'u');

/** One or more full stops before white space or the end; the dot in "3.5" or "example.org" is none. */
const fullStops = /\.+(?=\s|$)/gu;

/**
 * A generated continuation up to its natural end: the first newline, or the first full stop before white space or the end
 * that belongs to no abbreviation; all of it where there is neither. What ends it is left out.
 *
 * Not told apart: a sentence that ends in an abbreviation ("in the U.S. The president", "vitamin C. It") runs on to the
 * next stop; names such as "U.S. Virgin Islands" are the more frequent answers.
 *
 * @example cutAtNaturalStop(' St. Louis. It is a city') // ' St. Louis'
 */
export function cutAtNaturalStop(text: string): string {
  const line = text.split(/[\r\n]/u, 1)[0]!;
  return line.slice(0, sentenceEnd(line) ?? line.length);
}

/** Whether more text could not change {@link cutAtNaturalStop}. */
export function hasNaturalStop(text: string): boolean {
  const line = text.split(/[\r\n]/u, 1)[0]!;
  const end = sentenceEnd(line);
  // At the very end of the text, a full stop may turn out to be followed by a letter.
  return line.length < text.length || (end !== undefined && /\s/u.test(line.slice(end)));
}

/** Where the first full stop of a line begins that ends a sentence. */
function sentenceEnd(line: string): number | undefined {
  for (const { index, 0: stops } of line.matchAll(fullStops)) {
    if (stops.length > 1 || !abbreviation.test(line.slice(0, index))) return index;
  }
  return undefined;
}

/** For exact match: no white space around, single spaces inside, without one final full stop. Case counts. */
export function normalizeAnswer(text: string): string {
  return text.trim().replace(/\s+/gu, ' ').replace(/ ?\.$/u, '');
}
