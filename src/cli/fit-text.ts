// Text as lines that fit the stream they go to: a terminal has a width, files and pipes have none.
// Knows no command.

import { type Colours, coloursOf, columnsOf, type Environment, type OutputStream } from './terminal.js';
import { manyLines, textWidth, wrapWords } from './text-width.js';

/** Columns to stay within; `undefined` where lines may be of any length. */
export function widthOf(stream: OutputStream): number | undefined {
  return stream.isTTY === true ? columnsOf(stream) : undefined;
}

/** A text's own lines, broken at words where a terminal is narrower; control characters are escaped. */
export function fitText(text: string, stream: OutputStream): string[] {
  const columns = widthOf(stream);
  const lines = manyLines(text).split('\n');
  return columns === undefined ? lines : lines.flatMap((line) => wrapWords(line, columns));
}

type Paint = { [K in keyof Colours]: Colours[K] extends (text: string) => string ? K : never }[keyof Colours];

/** A text behind a coloured word, such as `error:`. */
export function labelled(
  [label, paint]: readonly [label: string, paint: Paint],
  text: string,
  { stderr, env }: { readonly stderr: OutputStream; readonly env: Environment },
): string {
  const colour = coloursOf(stderr, env)[paint] as (text: string) => string;
  const [first = '', ...rest] = fitText(`${label} ${text}`, stderr);
  return [colour(label) + first.slice(label.length), ...rest].join('\n');
}

const continuation = ' \\';
const indent = '  ';

/** A command line, continued on the next line as shells read it where a terminal is narrower; quoted arguments stay whole. */
export function fitCommand(line: string, stream: OutputStream): string[] {
  const columns = widthOf(stream);
  if (columns === undefined || textWidth(line) <= columns || process.platform === 'win32') return [line];
  const lines: string[] = [];
  for (const part of optionsOf(line)) {
    const longer = `${lines.at(-1)} ${part}`;
    if (lines.length > 0 && textWidth(longer) <= columns - continuation.length) lines[lines.length - 1] = longer;
    else lines.push(lines.length === 0 ? part : indent + part);
  }
  return lines.map((text, at) => (at === lines.length - 1 ? text : text + continuation));
}

/** The program, then each option with its value, then what stands alone. */
function optionsOf(line: string): readonly string[] {
  return line.match(/--[\w-]+(?: (?!--)(?:"[^"]*"|'[^']*'|\S+))?|"[^"]*"|'[^']*'|\S+/g) ?? [];
}
