// The program `malmen`: the command line on this process's streams and signals.
// Knows nothing else; see run.ts.

import { asksForJson, reportFailure, runCli } from './run.js';
import type { Terminal } from './terminal.js';

/** 128 + SIGPIPE, as shells report a program whose reader went away. */
const brokenPipe = 141;

const argv = process.argv.slice(2);
const terminal: Terminal = {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signals: process,
  exit: (code) => process.exit(code),
};

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(brokenPipe);
    throw error;
  });
}

process.on('uncaughtException', (error) => process.exit(reportFailure(error, asksForJson(argv), terminal)));

process.exitCode = await runCli(argv, terminal);
