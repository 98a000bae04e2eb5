// What training, editing and asking take in memory under either schedule of the engine: from graphs and shapes alone, before
// anything is opened.

import { groupByShape } from '../engine/layer-group.js';
import type { TokenChoice } from '../engine/lm-programs.js';
import { batchDims, type ModelBatch, withTapRows } from '../engine/model-batch.js';
import type { Schedule } from '../engine/schedule.js';
import { scheduleMemory } from '../engine/schedule-memory.js';
import type { EditableLayer, ModelDefinition } from '../models/model.js';
import { equationSize, isSolvedDual } from './equation-size.js';
import { type NetworkSize, networkPassBytes } from './network-memory.js';

export type MemoryTask = 'train' | 'edit' | 'fine-tune' | 'eval';

export interface MemoryJob {
  readonly task: MemoryTask;
  readonly definition: ModelDefinition;
  readonly layers: readonly EditableLayer[];
  readonly isFloat32: (parameter: string) => boolean;
  /** The largest batch of prompts. */
  readonly batch: ModelBatch;
  readonly tokens: TokenChoice;
  /** Key rows of each layer in one edit. */
  readonly rows: number;
  /** Absent for an editor without a network. */
  readonly network?: NetworkSize;
  /** Whether keys are preserved. */
  readonly preserves?: boolean | undefined;
  /** Whether an edit is scaled down in the end: a second set of shifts then. */
  readonly eases?: boolean | undefined;
  /** Whether frozen parts are kept on disk. */
  readonly cached?: boolean | undefined;
  /** Of frozen parts that are kept in memory, at most. */
  readonly frozenBytes?: number | undefined;
  /** Whether captured rows wait on disk, so that one layer's equation at a time is there. */
  readonly spools?: boolean | undefined;
}

/** Bytes of anonymous memory; mapped weights are page cache and do not count. */
export interface MemoryEstimate {
  readonly schedule: Schedule;
  /** Weights that stay in memory. */
  readonly weights: number;
  /** One pass of a batch through the language model, with gradients where the task needs them. */
  readonly pass: number;
  /** Hyper-networks, and with their gradients and Adam's averages while training. */
  readonly hyperNetwork: number;
  /** Shifts, shifted weights and weight gradients of the edited layers. */
  readonly editedLayers: number;
  /** Captured rows, normal equations and keys to preserve. */
  readonly normalEquations: number;
  /** The most at any moment, the program itself included: less than the sum, because not all is there at once. */
  readonly peak: number;
}

const floatBytes = 4;
/** The JavaScript heaps, the runtime's libraries and its threads' stacks. */
const programBytes = 180e6;
/** Buffers that are kept for the next output, at most. */
const pooledBytes = 256 * 2 ** 20;
/** Rows that a hyper-network takes at once at most. */
const networkRows = 8192;

export function estimateMemory(schedule: Schedule, job: MemoryJob): MemoryEstimate {
  const sizes = jobSizes(job);
  const { frozenBytes = 0 } = job;
  const cached = job.cached || frozenBytes > 0;
  const engine = scheduleMemory(schedule, { ...job, cached, dims: batchDims(withTapRows(job.batch)) });
  const { capture, gradient, predict } = engine;
  const networkPass =
    job.task === 'edit' && job.network
      ? networkPassBytes(groupByShape(job.layers), engine.rows, job.network, networkRows)
      : 0;
  const whole = schedule === 'whole';
  const { network, matrices, largest, rows, equations, kept, lessons } = sizes;
  const shifts = whole ? 2 * matrices : matrices;
  const phases: Readonly<Record<MemoryTask, readonly number[]>> = {
    eval: [shifts + predict],
    edit: [
      network + (job.spools ? 0 : equations) + capture + frozenBytes,
      network + (job.spools ? 0 : equations) + networkPass + frozenBytes,
      network + equations + matrices + frozenBytes,
      shifts + (job.eases ? matrices : 0) + predict,
    ],
    // The shift, its averages, gradients and what Adam makes of them.
    'fine-tune': [
      shifts + 3 * matrices + (whole ? matrices : largest) + gradient,
      shifts + (job.eases ? matrices : 0) + predict,
    ],
    train: [
      3 * network + rows + capture,
      3 * network + rows + equations + matrices,
      3 * network + rows + kept + shifts + gradient + (whole ? 2 * matrices : matrices + largest),
      5 * network + rows + kept + matrices + lessons + largest + sizes.learningPass,
    ],
  };
  const most = Math.max(...phases[job.task]);
  return {
    schedule,
    weights: engine.weights,
    pass: {
      eval: predict,
      edit: Math.max(capture, predict),
      'fine-tune': gradient,
      train: Math.max(capture, gradient),
    }[job.task],
    hyperNetwork: job.task === 'train' ? 5 * network : network,
    editedLayers: job.task === 'train' ? shifts + matrices : shifts,
    normalEquations: job.task === 'eval' ? 0 : equations + rows + sizes.preserved,
    peak: programBytes + engine.weights + sizes.preserved + most + Math.min(pooledBytes, most),
  };
}

function jobSizes({ layers, rows: n, network: shape, task, preserves = false, spools = false }: MemoryJob) {
  const sum = (size: (layer: EditableLayer) => number) =>
    floatBytes * layers.reduce((total, layer) => total + size(layer), 0);
  const matrix = ({ keySize: k, valueSize: v }: EditableLayer) => k * v;
  const isDual = ({ keySize }: EditableLayer) => isSolvedDual(keySize, n, preserves);
  const square = ({ keySize: k }: EditableLayer) => k ** 2;
  const width = Math.max(0, ...layers.map(({ keySize, valueSize }) => keySize + valueSize));
  const network = shape
    ? floatBytes *
      groupByShape(layers).reduce(
        (total, { keySize, valueSize }) => total + 2 * shape.blocks * (keySize + valueSize) * shape.rank,
        0,
      )
    : 0;
  const passRows = Math.min(networkRows, n * layers.length);
  return {
    network,
    learningPass: shape ? floatBytes * passRows * (3 * shape.blocks + 4) * width : 0,
    matrices: sum(matrix),
    largest: floatBytes * Math.max(0, ...layers.map(matrix)),
    rows: task === 'train' ? sum(({ keySize, valueSize }) => n * (keySize + valueSize)) : 0,
    equations: equationSize({ layers, rows: n, preserves })[spools ? 'oneByOne' : 'atOnce'],
    // What a layer's weight gradient leaves for the rows: rows of its own in the dual form, else a matrix (MEND: itself).
    lessons: sum((layer) => (isDual(layer) && shape?.editor !== 'mend' ? n * layer.valueSize : matrix(layer))),
    // The moment and, where the solve uses it, the basis in which it is white.
    preserved: preserves ? sum((layer) => (isDual(layer) ? 2 : 1) * square(layer)) : 0,
    kept: sum((layer) => (isDual(layer) ? n * (layer.keySize + layer.valueSize) + n ** 2 / 2 : layer.keySize ** 2 / 2)),
  };
}
