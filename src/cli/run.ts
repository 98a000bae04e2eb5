// One run of the command line: argv in, text out, exit code back.
// Knows no process: streams, environment and signals are handed in, so that tests can stand in for them.

import { MalmenError } from '../errors.js';
import type { CommandEntry } from './command-entry.js';
import { commandTable } from './command-table.js';
import { describeFailure, exitCodes } from './failure.js';
import { labelled } from './fit-text.js';
import { flagsOf } from './flags.js';
import { watchInterrupts } from './interrupt.js';
import { type Invocation, parseArgv } from './program.js';
import { Renderer } from './render.js';
import { resolveOptions } from './resolve-options.js';
import { readSettings, type Settings } from './settings.js';
import type { Terminal } from './terminal.js';

/**
 * Runs one command line.
 *
 * @param argv the arguments without node and script name
 * @returns the exit code, see {@link exitCodes}; never throws what a command throws
 */
export async function runCli(
  argv: readonly string[],
  terminal: Terminal,
  commands: readonly CommandEntry[] = commandTable,
): Promise<number> {
  try {
    const invocation = parseArgv(argv, terminal, commands);
    if (invocation === undefined) return exitCodes.done;
    const { result, failed } = await runCommand(invocation, optionsOf(invocation), terminal);
    if (invocation.general.json === true) terminal.stdout.write(`${JSON.stringify(result)}\n`);
    return failed ? exitCodes.failed : exitCodes.done;
  } catch (error) {
    return reportFailure(error, asksForJson(argv), terminal);
  }
}

/** Prints what went wrong, as JSON on stdout if that was asked for, and returns the exit code. */
export function reportFailure(error: unknown, json: boolean, terminal: Terminal): number {
  const { exitCode, code, message, label, text } = describeFailure(error);
  if (json) terminal.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
  if (!json || code === 'bug') {
    terminal.stderr.write(`${labelled([label, label === 'stopped:' ? 'yellow' : 'red'], text, terminal)}\n`);
  }
  return exitCode;
}

/** Also true for a command line that cannot be parsed: what is wrong with it must be JSON as well. */
export function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).includes('--json');
}

function optionsOf({ entry, given, general }: Invocation): Settings {
  const keys = flagsOf(entry.schema, entry.positional).map(({ key }) => key);
  const settings = general.settings === undefined ? {} : readSettings(general.settings, keys);
  return resolveOptions(entry, given, settings);
}

async function runCommand({ entry, general }: Invocation, options: Settings, terminal: Terminal) {
  const renderer = new Renderer(terminal, { json: general.json === true, quiet: general.quiet === true });
  const controller = new AbortController();
  const unwatch = watchInterrupts(terminal.signals, {
    first: () => {
      renderer.tell('stopping after this step (press Ctrl-C again to stop at once)');
      controller.abort(new MalmenError('interrupted', 'the command was interrupted before its end'));
    },
    second: () => {
      renderer.close();
      terminal.endAtOnce?.();
    },
    now: terminal.now ?? (() => performance.now()),
  });
  try {
    return await entry.run(options, { emit: renderer.emit, signal: controller.signal });
  } finally {
    unwatch();
    renderer.close();
  }
}
