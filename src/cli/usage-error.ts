// The error of a command line that says something this program cannot follow: a wrong flag, option or settings key.
// Knows neither which flags exist nor how it is printed.

/** A mistake in how the program was called; ends it with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
