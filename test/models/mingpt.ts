// A minGPT model with its activations (JSON, gzip; tensors as base64) as a Hugging Face GPT-2 folder.

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { saveNewModel } from '../../src/checkpoint/save-model.js';
import { f32, type TensorOf } from '../../src/tensor.js';

interface StoredTensor {
  readonly shape: number[];
  readonly data: string;
}

interface Config {
  readonly n_layer: number;
  readonly n_head: number;
  readonly n_embd: number;
  readonly vocab_size: number;
  readonly block_size: number;
}

export interface MinGptFile {
  readonly config: Config;
  /** Float32, whatever they were. */
  readonly tensors: ReadonlyMap<string, TensorOf<'f32'>>;
}

export function readMinGpt(path: string): MinGptFile {
  const { config, ...stored } = JSON.parse(gunzipSync(readFileSync(path)).toString()) as { config: Config } & Record<
    string,
    StoredTensor
  >;
  const tensors = new Map(
    Object.entries(stored as Record<string, StoredTensor>)
      .filter(([, { data }]) => typeof data === 'string')
      .map(([name, { shape, data }]) => [name, f32(floats(data), shape)]),
  );
  return { config, tensors };
}

function floats(base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64');
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

function transposed({ data, shape }: TensorOf<'f32'>): TensorOf<'f32'> {
  const [rows, columns] = shape as [number, number];
  const turned = Float32Array.from(data, (_, at) => data[(at % rows) * columns + Math.floor(at / rows)]!);
  return f32(turned, [columns, rows]);
}

/** The names are GPT-2's, the linear maps the other way round, the head is not tied. */
export async function convertMinGpt({ config, tensors }: MinGptFile, folder: string): Promise<void> {
  const { n_layer, n_head, n_embd, vocab_size, block_size } = config;
  const isLinear = (name: string) => /\.c_(attn|proj|fc)\.weight$/.test(name);
  const named = [...tensors].filter(([name]) => !name.endsWith('.attn.bias'));
  await saveNewModel(folder, {
    config: {
      model_type: 'gpt2',
      n_layer,
      n_head,
      n_embd,
      vocab_size,
      n_positions: block_size,
      tie_word_embeddings: false,
    },
    tensors: new Map(named.map(([name, tensor]) => [name, isLinear(name) ? transposed(tensor) : tensor])),
    files: new Map(),
  });
}
