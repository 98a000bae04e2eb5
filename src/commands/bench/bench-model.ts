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
  return { name, dtype: 'f32', shape, bytes: () => [randomBytes(elementCount(shape), initial)] };
}

/** Uniform numbers of the right deviation from a linear congruential generator: quality does not matter here, speed does. */
function randomBytes(count: number, initial: ParameterSpec['initial']): Uint8Array {
  const values = new Float32Array(count);
  if ('constant' in initial) values.fill(initial.constant);
  else {
    const width = initial.deviation * Math.sqrt(12);
    let state = count >>> 0;
    for (let i = 0; i < count; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      values[i] = (state / 2 ** 32 - 0.5) * width;
    }
  }
  return new Uint8Array(values.buffer);
}
