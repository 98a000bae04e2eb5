// What the computations of editing need in memory under either schedule, from graphs and shapes: nothing is opened or run.

import type { Program } from '../graph/program.js';
import { type ProgramMemoryOptions, programPeakBytes, valueBytes } from '../graph/program-memory.js';
import type { EditableLayer, ModelDefinition } from '../models/model.js';
import { elementCount } from '../tensor.js';
import { type BlockComputation, BlockPrograms } from './block-programs.js';
import { groupByShape, type LayerGroup } from './layer-group.js';
import { LanguageModelPrograms, stackHeight, type TokenChoice, weightName } from './lm-programs.js';
import type { ProgramSequence } from './program-sequence.js';
import type { Schedule } from './schedule.js';

/** Bytes of anonymous memory: of weights kept all the time, and at the peak of each computation besides those. */
export interface ScheduleMemory {
  readonly weights: number;
  readonly capture: number;
  readonly gradient: number;
  readonly predict: number;
  /** Rows that one capture brings, of each group of layers. */
  readonly rows: readonly number[];
}

export interface ScheduleMemoryRequest {
  readonly definition: ModelDefinition;
  readonly layers: readonly EditableLayer[];
  /** Whether a parameter is stored as float32, which is how programs use it. */
  readonly isFloat32: (parameter: string) => boolean;
  readonly tokens: TokenChoice;
  /** The named dimensions of the largest batch. */
  readonly dims: Readonly<Record<string, number>>;
  /** Whether frozen parts are kept on disk by prompt: records come and go through memory. */
  readonly cached?: boolean | undefined;
}

export function scheduleMemory(schedule: Schedule, request: ScheduleMemoryRequest): ScheduleMemory {
  const rows = stackHeights(request);
  // A dimension of its own where the layers of a group do not capture the same tokens.
  const heights = Object.fromEntries(rows.map((height, group) => [stackHeight(group), height]));
  const sized = { ...request, dims: { ...request.dims, ...heights } };
  return { ...(schedule === 'whole' ? wholeMemory(sized) : blockMemory(sized)), rows };
}

/** Rows of all layers of a group together. */
function stackHeights({ definition, layers, tokens, dims }: ScheduleMemoryRequest): number[] {
  const captured = new LanguageModelPrograms(definition, layers).capturedRows(tokens);
  const height = (group: LayerGroup) => group.layers.reduce((sum, { name }) => sum + dims[captured.get(name)!]!, 0);
  return groupByShape(layers).map(height);
}

type PassMemory = Omit<ScheduleMemory, 'rows'>;

const floatBytes = 4;

/** Frozen float32 weights stay mapped; live ones are read once and fed to all programs; 16-bit ones are cast in each run. */
function wholeMemory({ definition, layers, isFloat32, tokens, dims, cached }: ScheduleMemoryRequest): PassMemory {
  const programs = new LanguageModelPrograms(definition, layers);
  const edited = new Set(layers.map(weightName));
  const fed = new Set<string>(edited);
  const options = (live: boolean): ProgramMemoryOptions => ({
    dims: new Map(Object.entries(dims)),
    parameterBytes: (name) => (isFloat32(name) || (live && edited.has(name)) ? 0 : parameterBytes(definition, name)),
  });
  const peak = ({ frozen, live }: { readonly frozen: Program; readonly live: Program }) => {
    for (const { attributes } of live.parameters) if (isFloat32(attributes.name)) fed.add(attributes.name);
    return twoPhases(
      outputBytes(frozen, dims),
      programPeakBytes(frozen, options(false)),
      programPeakBytes(live, options(true)),
      cached,
    );
  };
  const peaks = {
    capture: peak(programs.capture(tokens)),
    gradient: Math.max(peak(programs.lossGradient('divergence', true)), peak(programs.logits())),
    predict: peak(programs.predict()),
  };
  const weights = [...fed].reduce((sum, name) => sum + parameterBytes(definition, name), 0);
  return { weights, ...peaks };
}

function blockMemory({ definition, layers, isFloat32, tokens, dims, cached }: ScheduleMemoryRequest): PassMemory {
  const programs = new BlockPrograms(new LanguageModelPrograms(definition, layers), layers);
  const shifted = new Set(layers.map(({ name }) => name));
  const options: ProgramMemoryOptions = {
    dims: new Map(Object.entries(dims)),
    parameterBytes: (name) => (isFloat32(name) ? 0 : parameterBytes(definition, name)),
  };
  const peak = ({ frozen, live }: BlockComputation) => {
    const crossing = sequenceMemory(frozen, options);
    return twoPhases(crossing.kept, crossing.peak, sequenceMemory(live, options).peak, cached);
  };
  return {
    weights: 0,
    capture: peak(programs.capture(tokens, shifted)),
    gradient: Math.max(peak(programs.lossGradient('divergence', shifted, true)), peak(programs.logits(shifted))),
    predict: peak(programs.predict(shifted)),
  };
}

/**
 * The crossing values stay while the live part runs. With a cache, records of some prompts wait while the others are computed,
 * and all are there once more as the values that they make up; what goes from thread to thread or to the disk is a copy.
 */
function twoPhases(crossing: number, frozen: number, live: number, cached = false): number {
  return Math.max(frozen + (cached ? 4 * crossing : 0), crossing + live);
}

function parameterBytes({ parameters }: ModelDefinition, name: string): number {
  return floatBytes * elementCount(parameters.find((parameter) => parameter.name === name)!.shape);
}

function outputBytes({ outputs }: Program, dims: Readonly<Record<string, number>>): number {
  const values = new Map(Object.entries(dims));
  return [...outputs.values()].reduce((sum, value) => sum + valueBytes(value, values), 0);
}

/** The values that programs hand on live until their last reader has run. */
function sequenceMemory({ programs, kept, host }: ProgramSequence, options: ProgramMemoryOptions) {
  const lastUse = new Map<string, number>();
  for (const [at, { inputs }] of programs.entries())
    for (const { attributes } of inputs) lastUse.set(attributes.name, at);
  const values = new Map<string, number>();
  const total = () => [...values.values()].reduce((sum, bytes) => sum + bytes, 0);
  let peak = 0;
  for (const [at, program] of programs.entries()) {
    peak = Math.max(peak, total() + programPeakBytes(program, options));
    // What is made in the place of an input of the same name that the caller gave adds nothing.
    const given = new Set(program.inputs.map(({ attributes }) => attributes.name));
    for (const [name, value] of program.outputs) {
      if (!host.has(name) && !given.has(name)) values.set(name, valueBytes(value, options.dims));
    }
    for (const name of values.keys()) if (!kept.has(name) && (lastUse.get(name) ?? -1) <= at) values.delete(name);
  }
  return { peak, kept: total() };
}
