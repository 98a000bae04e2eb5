// The command line on this process: its streams, signals, exit code, and errors that nothing caught.
// Knows no command beyond the table it is given.

import type { CommandEntry } from './command-entry.js';
import { asksForJson, reportFailure, runCli } from './run.js';
import type { Terminal } from './terminal.js';

/** 128 + SIGPIPE, as shells report a program whose reader went away. */
const brokenPipe = 141;

/** Runs this process's command line and sets its exit code; the process ends when nothing is left to do. */
export async function runProcess(commands?: readonly CommandEntry[]): Promise<void> {
  const argv = process.argv.slice(2);
  const terminal: Terminal = {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    signals: process,
    endAtOnce: () => endBySignal('SIGINT'),
  };
  for (const stream of [process.stdout, process.stderr]) stream.on('error', endOnBrokenPipe);
  process.on('uncaughtException', (error) => process.exit(reportFailure(error, asksForJson(argv), terminal)));
  process.exitCode = await runCli(argv, terminal, commands);
}

/**
 * Ends as the signal does to a program that does not listen; shells report 128 and its number. `process.exit` would tear
 * down the runtime's thread in the middle of its work, which aborts the process and may leave a core dump.
 */
function endBySignal(signal: 'SIGINT'): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

function endOnBrokenPipe(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(brokenPipe);
  throw error;
}
