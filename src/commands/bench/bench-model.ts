// A GPT-2-small-shaped model with random weights in a temporary folder: benchmarks need the shape, not the knowledge.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TensorSource, writeSafetensors } from '../../checkpoint/safetensors.js';
import { defineModel } from '../../models/index.js';
import type { ParameterSpec } from '../../models/model.js';
import { elementCount } from '../../tensor.js';

const gpt2Small = { model_type: 'gpt2', n_layer: 12, n_embd: 768, n_head: 12, vocab_size: 50257, n_positions: 1024 };

/** Writes the model, runs `work`, removes the folder whatever happens. */
export async function withBenchModel<R>(work: (folder: string) => Promise<R>): Promise<R> {
  const folder = await mkdtemp(join(tmpdir(), 'malmen-bench-'));
  try {
    await writeFile(join(folder, 'config.json'), JSON.stringify(gpt2Small));
    const { parameters } = defineModel(gpt2Small);
    await writeSafetensors(join(folder, 'model.safetensors'), parameters.map(randomSource), { format: 'pt' });
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function randomSource({ name, shape, initial }: ParameterSpec): TensorSource {
  return { name, dtype: 'f32', shape, bytes: () => randomPieces(elementCount(shape), initial) };
}

const pieceElements = 2 ** 20;

/**
 * Uniform numbers of the right deviation from a linear congruential generator, piece by piece in one buffer: quality does not
 * matter here, speed and the memory that is measured do.
 */
function* randomPieces(count: number, initial: ParameterSpec['initial']): Generator<Uint8Array> {
  const values = new Float32Array(Math.min(count, pieceElements));
  const width = 'deviation' in initial ? initial.deviation * Math.sqrt(12) : 0;
  const centre = 'constant' in initial ? initial.constant : 0;
  let state = count >>> 0;
  for (let done = 0; done < count; done += pieceElements) {
    const piece = values.subarray(0, Math.min(pieceElements, count - done));
    for (let i = 0; i < piece.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      piece[i] = centre + (state / 2 ** 32 - 0.5) * width;
    }
    yield new Uint8Array(piece.buffer, 0, piece.byteLength);
  }
}
