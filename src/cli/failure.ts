// What an error means to whoever called the program: exit code, code for `--json`, text.
// Knows no command and no stream.

import { MalmenError } from '../errors.js';
import { UsageError } from './usage-error.js';

/** Exit codes; 70 is EX_SOFTWARE of sysexits.h, 130 is 128 + SIGINT as shells report it. */
export const exitCodes = { done: 0, failed: 1, usage: 2, bug: 70, interrupted: 130 } as const;

export interface Failure {
  readonly exitCode: number;
  /** An `ErrorCode`, or `usage`, or `bug`. */
  readonly code: string;
  readonly message: string;
  /** What a person sees, by first word and text. */
  readonly label: 'error:' | 'stopped:' | 'bug:';
  readonly text: string;
}

export function describeFailure(error: unknown): Failure {
  if (error instanceof UsageError) return known(exitCodes.usage, 'usage', 'error:', error.message);
  if (error instanceof MalmenError) {
    return error.code === 'interrupted'
      ? known(exitCodes.interrupted, error.code, 'stopped:', error.message)
      : known(exitCodes.failed, error.code, 'error:', error.message);
  }
  return describeBug(error);
}

function known(exitCode: number, code: string, label: Failure['label'], message: string): Failure {
  return { exitCode, code, message, label, text: message };
}

function describeBug(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? (error.stack ?? message) : message;
  const text = `this should not have happened; please report it with the lines below and what you ran\n${stack}`;
  return { exitCode: exitCodes.bug, code: 'bug', message, label: 'bug:', text };
}
