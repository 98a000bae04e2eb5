// What the command line writes to: two streams, their width and colours, and where Ctrl-C is heard.
// Knows nothing of what is written.

import pc from 'picocolors';

export type Environment = Readonly<Record<string, string | undefined>>;
export type Colours = ReturnType<typeof pc.createColors>;

export interface OutputStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Where signals are heard: `process`, or a stand-in. */
export interface SignalSource {
  on(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  off(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
}

/** The part of `process` that the command line may use. */
export interface Terminal {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Environment;
  readonly signals?: SignalSource;
  /** Ends the program at once, as if it had not listened: the second Ctrl-C. */
  readonly endAtOnce?: () => void;
  /** Milliseconds, for rates and presses; `performance.now` unless given. */
  readonly now?: () => number;
}

/** Whether lines can be redrawn: a terminal that understands control sequences. */
export function canRedraw(stream: OutputStream, env: Environment): boolean {
  return stream.isTTY === true && env.TERM !== 'dumb';
}

/** Columns of a terminal; 80 where it does not say (some report 0) and for files and pipes. */
export function columnsOf(stream: OutputStream): number {
  return stream.columns || 80;
}

/** NO_COLOR switches colours off, FORCE_COLOR on (unless 0), otherwise they are for terminals only. */
export function coloursOf(stream: OutputStream, env: Environment): Colours {
  const forced = env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== '' && env.FORCE_COLOR !== '0';
  return pc.createColors(!env.NO_COLOR && env.FORCE_COLOR !== '0' && (forced || canRedraw(stream, env)));
}
