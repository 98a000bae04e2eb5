// Ctrl-C: the first asks the command to stop, the second ends the program.
// Knows no command and no stream.

import type { SignalSource } from './terminal.js';

interface InterruptListeners {
  readonly first: () => void;
  readonly second: () => void;
  /** Milliseconds on any clock. */
  readonly now: () => number;
}

/** One press may arrive twice: from the terminal, and again from npm, which passes it on. Nobody presses so fast. */
const samePressMs = 500;

/** Listens for SIGINT and SIGTERM until the returned function is called. */
export function watchInterrupts(signals: SignalSource | undefined, listeners: InterruptListeners): () => void {
  let firstAt: number | undefined;
  const listener = () => {
    if (firstAt === undefined) {
      firstAt = listeners.now();
      listeners.first();
    } else if (listeners.now() - firstAt >= samePressMs) listeners.second();
  };
  signals?.on('SIGINT', listener);
  signals?.on('SIGTERM', listener);
  return () => {
    signals?.off('SIGINT', listener);
    signals?.off('SIGTERM', listener);
  };
}
