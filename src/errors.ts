// The one class of error that a user can cause or act on. Anything else that is thrown is a bug in malmen.
// Knows nothing of the rest of the program.

/** What kind of thing went wrong; the command line shows it in `--json`, callers may branch on it. */
export type ErrorCode =
  | 'bad-input' // a record, file, tensor or option does not say what it must
  | 'not-found' // a file, tensor or module that was named does not exist
  | 'unsupported' // understood, but this program or device cannot do it
  | 'mismatch' // two things that must belong together do not (editor and base model, tokenizer and vocabulary)
  | 'not-positive-definite' // the normal equation has no unique solution
  | 'exists' // refusing to overwrite
  | 'no-space' // the disk is full
  | 'unreachable' // a server does not answer, or is busy
  | 'interrupted'; // stopped on the user's request

/**
 * An error whose message says where (file, record, tensor), what must hold, what was got and what to do.
 *
 * @example throw new MalmenError('bad-input', 'facts.jsonl:3: edit.answer is empty; give the answer that the model should learn');
 */
export class MalmenError extends Error {
  override readonly name = 'MalmenError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Turns a failed file operation into a {@link MalmenError} that names the file; anything else passes through. */
export function fileError(error: unknown, path: string, doing: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  const because = (text: string) => `${path}: ${doing} failed: ${text}`;
  switch (code) {
    case 'ENOENT':
      return new MalmenError('not-found', because('no such file or folder'), { cause: error });
    case 'ENOSPC':
    case 'EDQUOT':
      return new MalmenError('no-space', because('no space left on the device; free some and run again'), {
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new MalmenError('bad-input', because('permission denied; check who owns it'), { cause: error });
    case 'ENOTDIR':
    case 'EISDIR':
      return new MalmenError('bad-input', because('a file was expected where a folder is, or the reverse'), {
        cause: error,
      });
    default:
      return error;
  }
}
