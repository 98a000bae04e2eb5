// The least arithmetic that a job must do, in floating-point operations: what measured times are held against.

export interface LanguageModelWork {
  /** Sequences and tokens of each. */
  readonly edits: number;
  readonly tokens: number;
  readonly answerTokens: number;
  /** Tokens of each edit that a capture's backward pass must go through: the answer's, of a decoder. */
  readonly capturedTokens: number;
  /** Matrix parameters below and from the first edited layer on, of the vocabulary head, and of the edited layers. */
  readonly frozen: number;
  readonly live: number;
  readonly head: number;
  readonly edited: number;
}

/** Of one edited layer. */
export interface EditWork {
  readonly keySize: number;
  readonly valueSize: number;
  /** Key rows. */
  readonly rows: number;
  /** Hyper-network parameters used per row. */
  readonly network: number;
}

/**
 * One MALMEN training step: three frozen forwards (edit, rephrased, unrelated), four live ones (unrelated twice), two live
 * backwards that give weight gradients and one, of the edits, through the captured tokens only, the head at answer rows, the
 * solve, and the hyper-network forward, then forward and backward.
 */
export function trainingStepFlops(lm: LanguageModelWork, layers: readonly EditWork[]): number {
  const rows = lm.edits * lm.tokens;
  const answers = lm.edits * lm.answerTokens;
  const model = 2 * rows * (3 * lm.frozen + 4 * lm.live + 2 * lm.live + 2 * lm.edited) + captureBackwardFlops(lm);
  const head = 2 * answers * lm.head * (4 + 3);
  const solves = sum(layers.map(solveFlops));
  return model + head + solves + sum(layers.map(({ rows, network }) => 2 * rows * network * (1 + 3)));
}

/** Editing without learning: one forward, the backward of the capture, the hyper-network forward, the solve. */
export function editFlops(lm: LanguageModelWork, layers: readonly EditWork[]): number {
  const rows = lm.edits * lm.tokens;
  const model = 2 * rows * (lm.frozen + lm.live) + captureBackwardFlops(lm);
  const head = 2 * lm.edits * lm.answerTokens * lm.head * 2;
  return model + head + sum(layers.map(shiftFlops)) + sum(layers.map(({ rows, network }) => 2 * rows * network));
}

/** Through the captured tokens, without weight gradients. */
function captureBackwardFlops({ edits, capturedTokens, live }: LanguageModelWork): number {
  return 2 * edits * capturedTokens * live;
}

/** A normal equation with shift and meta-gradient, in the cheaper form. */
function solveFlops({ keySize: k, valueSize: v, rows: n }: EditWork): number {
  const side = Math.min(n, k);
  return n * k * side + side ** 3 / 3 + 2 * 2 * side * side * v + 2 * 2 * n * k * v;
}

/** A normal equation, the shift only. */
export function shiftFlops({ keySize: k, valueSize: v, rows: n }: EditWork): number {
  const side = Math.min(n, k);
  return n * k * side + side ** 3 / 3 + 2 * side * side * v + 2 * n * k * v;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
