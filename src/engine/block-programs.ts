// The computations that editing asks of a language model as sequences of small programs, one per block of the model and
// direction. Pure graphs: knows no file and no runtime.

import * as b from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import { printProgram } from '../graph/print.js';
import { makeProgram, type Program } from '../graph/program.js';
import {
  type BackwardRequest,
  type BackwardStage,
  backwardStages,
  isCarried,
  type Stage,
  stages,
} from '../graph/stages.js';
import { withShifts } from '../graph/with-shifts.js';
import type { EditableLayer, MemoryMode } from '../models/model.js';
import { type LanguageModelPrograms, type MarkedForward, type TokenChoice, weightName } from './lm-programs.js';
import type { ProgramSequence } from './program-sequence.js';

/** A computation cut by dependence and by blocks. */
export interface BlockComputation {
  /** Gives the crossing values. */
  readonly frozen: ProgramSequence;
  /** Those values, uncut. */
  readonly frozenOutputs: ReadonlyMap<string, Value>;
  /** Equal for computations whose frozen parts are the same. */
  readonly frozenText: string;
  readonly live: ProgramSequence;
}

/** The input that carries a layer's shift, [keySize, valueSize]. */
export const shiftInput = (layer: string) => `shift:${layer}`;

/** The output that carries a layer's weight gradient; as an input, what it is added to. */
export const gradientName = (layer: string) => `gradient:${layer}`;

export const keysName = (layer: string) => `keys:${layer}`;
const valuesName = (layer: string) => `values:${layer}`;
export const valueGradientName = (layer: string) => `valueGradients:${layer}`;

const hostOutputs = new Set(['loss', 'predicted', 'nll']);

/** Builds sequences for one model and one choice of layers, for weights of which the `shifted` layers have a shift. */
export class BlockPrograms {
  readonly #programs: LanguageModelPrograms;
  readonly #layers: readonly EditableLayer[];

  constructor(programs: LanguageModelPrograms, layers: readonly EditableLayer[]) {
    this.#programs = programs;
    this.#layers = layers;
  }

  /** Outputs `logits` [answers, vocabulary]. */
  logits(shifted: ReadonlySet<string>): BlockComputation {
    return this.#forwardOnly(this.#programs.answerLogits(), shifted);
  }

  /** Outputs `predicted` and `nll`, as of `LanguageModelPrograms.predict`. */
  predict(shifted: ReadonlySet<string>): BlockComputation {
    return this.#forwardOnly(this.#programs.predictions(), shifted);
  }

  /** As of `LanguageModelPrograms.step`. */
  step(mode: MemoryMode, output: 'predicted' | 'logits', shifted: ReadonlySet<string>): BlockComputation {
    return this.#forwardOnly(this.#programs.stepForward(mode, output), shifted);
  }

  /** Outputs `loss` and each layer's {@link gradientName}, added to the input of that name when `accumulate` is set. */
  lossGradient(kind: 'answer' | 'divergence', shifted: ReadonlySet<string>, accumulate: boolean): BlockComputation {
    const names = new Map(this.#layers.map((layer) => [weightName(layer), gradientName(layer.name)]));
    const seen = new Set(accumulate ? names.values() : []);
    const request = { wanted: new Set(names.keys()) };
    return this.#differentiated(this.#programs.loss(kind), shifted, request, (weight, gradient) => {
      const name = names.get(weight)!;
      const sum = seen.has(name);
      seen.add(name);
      return [name, sum ? b.addTo(gradient, b.input(name, gradient.shape)) : gradient];
    });
  }

  /** Outputs `loss` and each layer's {@link keysName} and {@link valueGradientName}, of the rows that are captured. */
  capture(tokens: TokenChoice, shifted: ReadonlySet<string>): BlockComputation {
    const { loss, boundaries, taps, select, selectGradient, wanted: rows } = this.#programs.tapped(tokens);
    const outputs = new Map<string, Value>([['loss', loss]]);
    const layers = new Map<string, string>();
    for (const [name, { keys, values }] of taps) {
      outputs.set(keysName(name), select(name, keys));
      outputs.set(valuesName(name), values);
      layers.set(valuesName(name), name);
    }
    const request = { wanted: new Set(layers.keys()), rows };
    return this.#differentiated({ outputs, boundaries }, shifted, request, (values, gradient) => {
      const name = layers.get(values)!;
      return [valueGradientName(name), selectGradient(name, gradient)];
    });
  }

  /** Outputs each layer's {@link keysName}, of the rows that are captured. */
  keys(tokens: TokenChoice, shifted: ReadonlySet<string>): BlockComputation {
    const { boundaries, taps, select } = this.#programs.tapped(tokens);
    const outputs = new Map([...taps].map(([name, { keys }]) => [keysName(name), select(name, keys)]));
    return this.#forwardOnly({ outputs, boundaries }, shifted);
  }

  #forwardOnly(forward: MarkedForward, shifted: ReadonlySet<string>): BlockComputation {
    const { frozen, live } = this.#cut(forward, shifted);
    return {
      ...frozen,
      live: sequence(live.map((stage) => forwardProgram(stage, stage.outputs))),
    };
  }

  /**
   * Forward to the last stage but one, then back: each stage computes its forward again, so that between the two directions
   * only the values on the boundaries are kept.
   */
  #differentiated(
    forward: MarkedForward,
    shifted: ReadonlySet<string>,
    request: Omit<BackwardRequest, 'loss'>,
    finish: (name: string, gradient: Value) => [string, Value],
  ): BlockComputation {
    const { frozen, live } = this.#cut(forward, shifted);
    const back = backwardStages(live, { loss: 'loss', ...request });
    const isPassed = new Set(back.map((stage) => stage.forward));
    const forwards = live.map((stage) => forwardProgram(stage, isPassed.has(stage) ? new Map() : stage.outputs));
    const backwards = back.map((stage) => backwardProgram(stage, request.wanted, finish));
    return { ...frozen, live: sequence([...forwards, ...backwards].filter(({ outputs }) => outputs.size > 0)) };
  }

  #cut({ outputs, boundaries }: MarkedForward, shifted: ReadonlySet<string>) {
    const shifts = new Map(
      this.#layers
        .filter(({ name }) => shifted.has(name))
        .map((layer) => [
          weightName(layer),
          { input: shiftInput(layer.name), orientation: layer.orientation } as const,
        ]),
    );
    const marks = boundaries.map((value, at): [string, Value] => [`boundary ${at}`, value]);
    const all = withShifts(new Map([...outputs, ...marks]), shifts);
    const rewrittenMarks = marks.map(([name]) => all.get(name)!);
    for (const [name] of marks) all.delete(name);
    const cut = this.#programs.cut(all, rewrittenMarks);
    const frozen = stages(cut.frozen.outputs, cut.frozenMarks).map((stage) => forwardProgram(stage, stage.outputs));
    return {
      frozen: {
        frozen: sequence(frozen),
        frozenOutputs: cut.frozen.outputs,
        frozenText: printProgram(cut.frozen),
      },
      live: stages(cut.live.outputs, cut.liveMarks),
    };
  }
}

function forwardProgram({ exports }: Stage, outputs: ReadonlyMap<string, Value>): Program {
  return makeProgram(new Map([...outputs, ...exports]));
}

function backwardProgram(
  { forward, gradients, cotangents }: BackwardStage,
  wanted: ReadonlySet<string>,
  finish: (name: string, gradient: Value) => [string, Value],
): Program {
  const outputs = [...forward.outputs].filter(([name]) => !wanted.has(name));
  const finished = [...gradients].map(([name, gradient]) => finish(name, gradient));
  return makeProgram(new Map([...outputs, ...finished, ...cotangents]));
}

function sequence(programs: readonly Program[]): ProgramSequence {
  const made = programs.flatMap(({ outputs }) => [...outputs.keys()]);
  return { programs, host: hostOutputs, kept: new Set(made.filter((name) => !isCarried(name))) };
}
