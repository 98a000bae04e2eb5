// Ctrl-C: the first asks the command to stop, the second ends the program.
// Knows no command and no stream.

import type { SignalSource } from './terminal.js';

interface InterruptListeners {
  readonly first: () => void;
  readonly second: () => void;
}

/** Listens for SIGINT and SIGTERM until the returned function is called. */
export function watchInterrupts(signals: SignalSource | undefined, listeners: InterruptListeners): () => void {
  let heard = 0;
  const listener = () => (++heard === 1 ? listeners.first() : listeners.second());
  signals?.on('SIGINT', listener);
  signals?.on('SIGTERM', listener);
  return () => {
    signals?.off('SIGINT', listener);
    signals?.off('SIGTERM', listener);
  };
}
