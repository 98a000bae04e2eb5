// The computations that editing asks of a language model, each cut into its frozen and its live part. Pure graphs: knows no
// file and no runtime.

import * as b from '../graph/build.js';
import { multiplyDims } from '../graph/dim.js';
import { gradients } from '../graph/grad.js';
import type { Value } from '../graph/ops.js';
import { type MarkedPartition, type NamedLeaf, type Partition, partition } from '../graph/partition.js';
import { makeProgram, type Program } from '../graph/program.js';
import type { WantedRows } from '../graph/row-gradients.js';
import type { EditableLayer, Forward, MemoryMode, ModelDefinition, Tap } from '../models/model.js';
import { groupByShape } from './layer-group.js';

/** Which tokens' keys and value gradients are captured. */
export type TokenChoice = 'answers' | 'all';

/** The rows of one layer that are captured: those that carry a label, or those of the input `tapRows`. */
export type RowChoice = 'answers' | 'taps';

const labels = b.input('labels', ['answers'], 'i64');
const answers = b.input('answerRows', ['answers'], 'i64');
/** The factor that makes a sum over answer tokens the mean over whatever set the caller averages. */
const lossScale = b.input('lossScale', []);

/** Sum over the batch's answer tokens of the cross-entropy, times `lossScale`. */
function answerLoss({ logits }: Forward): Value {
  return b.mul(b.reduceSum(b.crossEntropy(logits, labels)), lossScale);
}

/** Sum over the batch's answer tokens of KL(before || after), times `lossScale`. */
function divergenceLoss({ logits }: Forward): Value {
  const before = b.input('logitsBefore', logits.shape);
  return b.mul(b.reduceSum(b.klDivergence(before, logits)), lossScale);
}

/** The checkpoint name of a layer's weight. */
export const weightName = (layer: EditableLayer) => `${layer.name}.weight`;

/** The name of the height of a group's stack where its layers have different numbers of rows. */
export const stackHeight = (group: number) => `stack${group}`;

const stackLayers = (rows: readonly Value[], group: number) =>
  rows.length === 1 ? rows[0]! : b.concat(rows, 0, stackHeight(group));

/** A forward computation with the values between which blocks lie, in order. */
export interface MarkedForward {
  readonly outputs: ReadonlyMap<string, Value>;
  readonly boundaries: readonly Value[];
}

/** An encoder is done before the decoder beside it begins. */
const boundariesOf = ({ encoderHidden = [], hidden }: Forward): Value[] => [...encoderHidden, ...hidden];

/** Builds programs for one model and one choice of layers. */
export class LanguageModelPrograms {
  readonly #definition: ModelDefinition;
  readonly #layers: readonly EditableLayer[];
  readonly #edited: ReadonlySet<string>;
  /** What the model itself reads; everything else that is fed (rows, labels, loss factors, sums) makes a value live. */
  readonly #modelInputs: ReadonlySet<string>;
  readonly #capturedRows = new Map<TokenChoice, ReadonlyMap<string, RowChoice>>();

  constructor(definition: ModelDefinition, layers: readonly EditableLayer[]) {
    this.#definition = definition;
    this.#layers = layers;
    this.#edited = new Set(layers.map(weightName));
    const { inputs } = makeProgram({ logits: this.forward().logits });
    this.#modelInputs = new Set(inputs.map(({ attributes: { name } }) => name).filter((name) => name !== 'answerRows'));
  }

  /** Cuts any of this model's computations in two, keeping track of marked values. */
  cut(
    outputs: Readonly<Record<string, Value>> | ReadonlyMap<string, Value>,
    marks: readonly Value[] = [],
  ): MarkedPartition {
    const varies = ({ op, attributes: { name } }: NamedLeaf) =>
      op === 'parameter' ? this.#edited.has(name) : !(this.#modelInputs.has(name) || name.startsWith('memory.'));
    return partition(outputs, varies, marks);
  }

  loss(kind: 'answer' | 'divergence'): MarkedForward {
    const forward = this.forward();
    const loss = kind === 'answer' ? answerLoss(forward) : divergenceLoss(forward);
    return { outputs: new Map([['loss', loss]]), boundaries: boundariesOf(forward) };
  }

  answerLogits(): MarkedForward {
    const forward = this.forward();
    return { outputs: new Map([['logits', forward.logits]]), boundaries: boundariesOf(forward) };
  }

  predictions(): MarkedForward {
    const forward = this.forward();
    const outputs = { predicted: b.argMax(forward.logits), nll: b.crossEntropy(forward.logits, labels) };
    return { outputs: new Map(Object.entries(outputs)), boundaries: boundariesOf(forward) };
  }

  /**
   * The loss with the edited layers' taps. `select` takes the captured rows of any rows of a layer's; gradients that are found
   * for `wanted` have those alone.
   */
  tapped(tokens: TokenChoice) {
    const forward = this.forward(tokens);
    const taps = new Map(this.#layers.map(({ name }) => [name, forward.taps.get(name)!]));
    const indices = { taps: b.input('tapRows', ['taps'], 'i64'), answers };
    const choices = this.capturedRows(tokens);
    const select = (name: string, rows: Value) =>
      taps.get(name)!.rows === 'answers' ? rows : b.gatherRows(rows, indices[choices.get(name)!]);
    const wanted = this.#wantedRows(tokens);
    const selectGradient = (name: string, gradient: Value) => (wanted ? gradient : select(name, gradient));
    const boundaries = boundariesOf(forward);
    return { loss: answerLoss(forward), boundaries, taps, select, selectGradient, wanted };
  }

  /**
   * In a decoder a token acts on later ones only, and the answers of a sequence are its last tokens: between an answer row and
   * the loss there are answer rows only.
   */
  #wantedRows(tokens: TokenChoice): WantedRows | undefined {
    const isLast = tokens === 'answers' && this.#definition.kind === 'decoder';
    return isLast ? { axis: multiplyDims('batch', 'tokens'), indices: answers } : undefined;
  }

  forward(tokens: TokenChoice = 'answers'): Forward {
    return this.#definition.forward({ answersOnlyInLastBlock: tokens === 'answers' });
  }

  /** By layer name. A decoder that has an encoder reads answer tokens only; the encoder beside it has none. */
  capturedRows(tokens: TokenChoice): ReadonlyMap<string, RowChoice> {
    const known = this.#capturedRows.get(tokens);
    if (known) return known;
    const { taps } = this.forward(tokens);
    const rows = new Map(this.#layers.map(({ name }) => [name, this.#rowChoice(taps.get(name)!, tokens)]));
    this.#capturedRows.set(tokens, rows);
    return rows;
  }

  #rowChoice({ rows }: Tap, tokens: TokenChoice): RowChoice {
    if (rows !== 'tokens') return 'answers';
    return tokens === 'all' || this.#definition.kind === 'encoder-decoder' ? 'taps' : 'answers';
  }

  /**
   * Outputs `loss` [], and per group of layers of one shape `keys:G` [rows, keySize] and `valueGradients:G` [rows, valueSize],
   * layer after layer: of each its {@link capturedRows}, those of `tapRows` (i64, flat token indices) or of `answerRows`.
   */
  capture(tokens: TokenChoice): Partition {
    const { loss: summed, taps, select, selectGradient, wanted } = this.tapped(tokens);
    const merged = makeProgram(
      new Map([['loss', summed], ...[...taps].map(([name, { values }]) => [name, values] as const)]),
    ).outputs;
    const loss = merged.get('loss')!;
    const names = [...taps.keys()];
    const found = gradients(
      loss,
      names.map((name) => merged.get(name)!),
      wanted,
    );
    const outputs: Record<string, Value> = { loss };
    groupByShape(this.#layers).forEach(({ layers }, group) => {
      const keys = layers.map(({ name }) => select(name, taps.get(name)!.keys));
      const valueGradients = layers.map(({ name }) => selectGradient(name, found[names.indexOf(name)]!));
      outputs[`keys:${group}`] = stackLayers(keys, group);
      outputs[`valueGradients:${group}`] = stackLayers(valueGradients, group);
    });
    return this.cut(outputs);
  }

  /** Outputs `keys:G` as of {@link capture}. */
  keys(tokens: TokenChoice): Partition {
    const { taps, select } = this.tapped(tokens);
    const stacks = groupByShape(this.#layers).map(({ layers }, group): [string, Value] => {
      const keys = layers.map(({ name }) => select(name, taps.get(name)!.keys));
      return [`keys:${group}`, stackLayers(keys, group)];
    });
    return this.cut(new Map(stacks));
  }

  /**
   * Outputs `loss` [] and per layer `gradient:NAME`, d(loss)/d(weight) in the checkpoint's layout, added to the input
   * `sum:NAME` where `accumulate` is set.
   */
  lossGradient(kind: 'answer' | 'divergence', accumulate: boolean): Partition {
    const { loss, parameters } = mergedLoss(this.loss(kind).outputs.get('loss')!);
    const found = gradients(
      loss,
      this.#layers.map((layer) => parameters.get(weightName(layer))!),
    );
    const outputs: Record<string, Value> = { loss };
    this.#layers.forEach(({ name }, at) => {
      const gradient = found[at]!;
      const sum = () => b.input(`sum:${name}`, gradient.shape);
      outputs[`gradient:${name}`] = accumulate ? b.addTo(gradient, sum()) : gradient;
    });
    return this.cut(outputs);
  }

  /** Output `logits` [answers, vocabulary]. */
  logits(): Partition {
    return this.cut(this.answerLogits().outputs);
  }

  /** Whether the model remembers: see {@link step}. */
  get canStep(): boolean {
    return this.#definition.forward({ answersOnlyInLastBlock: true, memory: 'keep' }).memory !== undefined;
  }

  /**
   * One step of writing, at the start (`keep`) or after tokens whose memory is fed (`extend`): `predicted` i64 [answers] or
   * `logits` [answers, vocabulary], and the memory of all tokens under its names.
   */
  step(memory: MemoryMode, output: 'predicted' | 'logits'): Partition {
    return this.cut(this.stepForward(memory, output).outputs);
  }

  stepForward(mode: MemoryMode, output: 'predicted' | 'logits'): MarkedForward {
    const forward = this.#definition.forward({ answersOnlyInLastBlock: true, memory: mode });
    const { logits, memory = new Map<string, Value>() } = forward;
    const outputs = new Map([[output, output === 'logits' ? logits : b.argMax(logits)], ...memory]);
    return { outputs, boundaries: boundariesOf(forward) };
  }

  /** Outputs `predicted` i64 [answers], the most likely token, and `nll` [answers], -log p of the label. */
  predict(): Partition {
    return this.cut(this.predictions().outputs);
  }
}

/**
 * The loss with equal expressions merged, and its parameters by name: differentiation goes by identity, and a tied weight is
 * named more than once.
 */
function mergedLoss(loss: Value): { readonly loss: Value; readonly parameters: ReadonlyMap<string, Value> } {
  const program = makeProgram({ loss });
  const parameters = new Map(program.parameters.map((value) => [value.attributes.name, value as Value]));
  return { loss: program.outputs.get('loss')!, parameters };
}

/** The loss of language-model training and its gradient for every parameter: `loss` [] and `gradient:NAME`. */
export function trainingProgram(definition: ModelDefinition): Program {
  const { loss, parameters } = mergedLoss(answerLoss(definition.forward({ answersOnlyInLastBlock: true })));
  const names = definition.parameters.map(({ name }) => name);
  const found = gradients(
    loss,
    names.map((name) => parameters.get(name)!),
  );
  return makeProgram(new Map([['loss', loss], ...names.map((name, at) => [`gradient:${name}`, found[at]!] as const)]));
}
