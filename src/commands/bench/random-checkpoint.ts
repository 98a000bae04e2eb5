// A checkpoint of any supported shape with random weights, streamed to disk: benchmarks need the shape, not the knowledge.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { singleFile } from '../../checkpoint/model-folder.js';
import { type TensorSource, writeSafetensors } from '../../checkpoint/safetensors.js';
import { defineModel } from '../../models/index.js';
import type { ParameterSpec } from '../../models/model.js';
import { elementCount, f32ToBf16, storageBytes } from '../../tensor.js';
import { bytesOf } from '../../util/bytes-of.js';

export interface RandomCheckpointOptions {
  readonly dtype: 'f32' | 'bf16';
  /** Bytes of a weight file at most; one file when absent. */
  readonly shardBytes?: number;
}

/** Writes config.json and weights into `folder`, which is made where it does not exist. */
export async function writeRandomCheckpoint(
  folder: string,
  config: Readonly<Record<string, unknown>>,
  { dtype, shardBytes = Number.POSITIVE_INFINITY }: RandomCheckpointOptions,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  const shards = split(defineModel(config).parameters, shardBytes / storageBytes[dtype]);
  const numbers = new RandomNumbers(dtype);
  const weightMap: Record<string, string> = {};
  for (const [at, parameters] of shards.entries()) {
    const file = shards.length === 1 ? singleFile : shardName(at + 1, shards.length);
    for (const { name } of parameters) weightMap[name] = file;
    await writeSafetensors(join(folder, file), parameters.map(numbers.source), { format: 'pt' });
  }
  if (shards.length > 1)
    await writeFile(join(folder, `${singleFile}.index.json`), JSON.stringify({ weight_map: weightMap }, null, 2));
}

const shardName = (at: number, count: number) =>
  `model-${String(at).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.safetensors`;

function split(parameters: readonly ParameterSpec[], limit: number): ParameterSpec[][] {
  const shards: ParameterSpec[][] = [];
  let elements = Number.POSITIVE_INFINITY;
  for (const parameter of parameters) {
    const count = elementCount(parameter.shape);
    if (elements + count > limit || shards.length === 0) {
      shards.push([]);
      elements = 0;
    }
    shards.at(-1)!.push(parameter);
    elements += count;
  }
  return shards;
}

/** Numbers of one piece. */
const pieceElements = 2 ** 20;

/** Prime, so that no two rows of a usual width start at the same number. */
const cycle = 2 ** 20 + 7;

/**
 * Uniform numbers of the right deviation: one long sequence, repeated. Quality does not matter here, speed and the memory
 * that is measured do.
 */
class RandomNumbers {
  readonly #dtype: 'f32' | 'bf16';
  /** By standard deviation. */
  readonly #sequences = new Map<number, Float32Array | Uint16Array>();
  #position = 0;

  constructor(dtype: 'f32' | 'bf16') {
    this.#dtype = dtype;
  }

  readonly source = ({ name, shape, initial }: ParameterSpec): TensorSource => {
    const count = elementCount(shape);
    const bytes = () =>
      'constant' in initial ? this.#constant(count, initial.constant) : this.#random(count, initial.deviation);
    return { name, dtype: this.#dtype, shape, bytes };
  };

  #stored(values: Float32Array): Float32Array | Uint16Array {
    return this.#dtype === 'f32' ? values : f32ToBf16(values);
  }

  *#constant(count: number, value: number): Generator<Uint8Array> {
    const piece = this.#stored(new Float32Array(Math.min(count, pieceElements)).fill(value));
    for (let done = 0; done < count; done += piece.length) yield bytesOf(piece.subarray(0, count - done));
  }

  *#random(count: number, deviation: number): Generator<Uint8Array> {
    const sequence = this.#sequence(deviation);
    for (let done = 0; done < count; ) {
      const length = Math.min(count - done, cycle - this.#position, pieceElements);
      yield bytesOf(sequence.subarray(this.#position, this.#position + length));
      this.#position = (this.#position + length) % cycle;
      done += length;
    }
  }

  #sequence(deviation: number): Float32Array | Uint16Array {
    const known = this.#sequences.get(deviation) ?? this.#stored(uniform(cycle, deviation * Math.sqrt(12)));
    this.#sequences.set(deviation, known);
    return known;
  }
}

/** A linear congruential generator's numbers, centred at 0. */
function uniform(count: number, width: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * width;
  });
}
