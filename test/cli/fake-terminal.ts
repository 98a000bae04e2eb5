// A terminal that keeps what is written to it, with signals and a clock moved by hand; and what a real one would show.
// Knows no command.

import { EventEmitter } from 'node:events';
import { Writable } from 'node:stream';
import type { Environment, OutputStream, Terminal } from '../../src/cli/terminal.js';

class Recorder extends Writable implements OutputStream {
  text = '';

  constructor(
    readonly isTTY: boolean,
    readonly columns: number,
  ) {
    super({ decodeStrings: false });
  }

  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.text += chunk;
    done();
  }
}

interface FakeOptions {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly env?: Environment;
}

export class FakeTerminal implements Terminal {
  readonly stdout: Recorder;
  readonly stderr: Recorder;
  readonly env: Environment;
  readonly signals = new EventEmitter();
  ends = 0;
  nowMs = 0;

  constructor({ isTTY = false, columns = 80, env = {} }: FakeOptions = {}) {
    this.stdout = new Recorder(isTTY, columns);
    this.stderr = new Recorder(isTTY, columns);
    this.env = env;
  }

  readonly endAtOnce = (): void => {
    this.ends++;
  };

  readonly now = (): number => this.nowMs;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are steered by them
const tokens = /\x1b[78]|\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]/gu;

/**
 * The lines that a terminal shows after some output. Throws where a line would wrap, or the output steers in a way that
 * this stand-in does not know.
 */
export function screenOf(output: string, columns: number): string[] {
  const lines = [''];
  let column = 0;
  const setLine = (text: string) => {
    lines[lines.length - 1] = text;
  };
  const steer: Record<string, () => void> = {
    '\n': () => lines.push(''),
    '\x1b[0K': () => setLine(lines.at(-1)!.slice(0, column)),
    '\x1b[2K': () => setLine(''),
  };
  const toStart = new Set(['\n', '\r', '\x1b[1G', '\x1b8']);
  for (const [token] of output.matchAll(tokens)) {
    steer[token]?.();
    if (toStart.has(token)) column = 0;
    if (token in steer || toStart.has(token) || token === '\x1b7' || isColour(token)) continue;
    if (token.startsWith('\x1b')) throw new Error(`unexpected control sequence ${JSON.stringify(token)}`);
    if (column >= columns) throw new Error(`wider than ${columns} columns: ${lines.at(-1)}`);
    setLine(lines.at(-1)!.padEnd(column).slice(0, column) + token + lines.at(-1)!.slice(column + 1));
    column++;
  }
  return lines;
}

const isColour = (token: string) => token.startsWith('\x1b[') && token.endsWith('m');
