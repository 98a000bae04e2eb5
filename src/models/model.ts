// What a language model is to the rest of the program: its weights by checkpoint name, the layers that can be edited, and a
// forward pass as a graph. Knows no file, no runtime and no editor.

import type { Value } from '../graph/ops.js';
import type { ModelKind } from '../util/model-kind.js';

/** A tensor that the checkpoint must hold. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** How a fresh model starts: a constant, or normal with this standard deviation. */
  readonly initial: { readonly constant: number } | { readonly deviation: number };
  /** Belongs to the task, not to the language: training may start it afresh where a checkpoint lacks it. */
  readonly isHead?: boolean;
}

/**
 * One linear map v = x W whose weight can be edited. `in-out` weights are stored [keySize, valueSize] as in the formulas,
 * `out-in` ones transposed.
 */
export interface EditableLayer {
  /** The layer's checkpoint name, without `.weight`. */
  readonly name: string;
  readonly orientation: 'in-out' | 'out-in';
  readonly keySize: number;
  readonly valueSize: number;
}

/** The input and output of an editable layer inside a forward graph. */
export interface Tap {
  /** [rows, keySize] */
  readonly keys: Value;
  /** [rows, valueSize], bias included */
  readonly values: Value;
  /**
   * `tokens`: one row for each of batch*tokens; `decoderTokens`: one for each of batch*decoderTokens; `answers`: only the rows
   * that carry a label.
   */
  readonly rows: 'tokens' | 'decoderTokens' | 'answers';
}

/** Of attention: keys and values of all tokens are given out, `extend`: after those of earlier tokens, which are fed. */
export type MemoryMode = 'keep' | 'extend';

export interface ForwardOptions {
  /** Compute the last block's MLP for answer rows only. Off when the keys of every token are wanted. */
  readonly answersOnlyInLastBlock: boolean;
  /** Absent: nothing is remembered. Models that have no memory ignore it. */
  readonly memory?: MemoryMode;
}

export interface Forward {
  /** [answers, vocabulary]; of a classifier [answers, 2], REFUTES then SUPPORTS */
  readonly logits: Value;
  /** By layer name. */
  readonly taps: ReadonlyMap<string, Tap>;
  /** Residual stream: the embedding, each block's output, then the normalised output; [batch*tokens or answers, width]. */
  readonly hidden: readonly Value[];
  /** What a later step needs of these tokens; with `extend` inputs have the same names. Absent: the model has no memory. */
  readonly memory?: ReadonlyMap<string, Value>;
  /** The same of the encoder beside a decoder, all tokens. */
  readonly encoderHidden?: readonly Value[];
}

/** A model of known configuration. */
export interface ModelDefinition {
  readonly modelType: string;
  readonly kind: ModelKind;
  readonly vocabularySize: number;
  /** The longest input in tokens. */
  readonly contextTokens: number;
  readonly parameters: readonly ParameterSpec[];
  readonly layers: readonly EditableLayer[];
  /** Names of the layers that are edited unless the user says otherwise. */
  readonly defaultLayers: readonly string[];
  /** The tensor of a checkpoint that holds a parameter, given all names of that checkpoint. */
  tensorName(parameter: string, checkpoint: ReadonlySet<string>): string;
  /** The computation as a graph. @internal */
  forward(options: ForwardOptions): Forward;
}

/** Reads config.json. @throws MalmenError for a configuration that contradicts itself or asks for what is not supported. */
export type Architecture = (config: Readonly<Record<string, unknown>>) => ModelDefinition;

/** The published choice of layers to edit: the last six with this ending. */
export function lastProjections(layers: readonly EditableLayer[], ending: string): string[] {
  return layers
    .filter(({ name }) => name.endsWith(ending))
    .slice(-6)
    .map(({ name }) => name);
}
