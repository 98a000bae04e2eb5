// What the stored numbers do not show of the decoder-only models: residual streams one after the other, stretched positions,
// tensors that are no parameters, sizes that do not fit.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LanguageModel } from '../../src/engine/language-model.js';
import { Random } from '../../src/util/random.js';
import { parseRawFile, rawFile } from '../checkpoint/raw-safetensors.js';
import { goldenModel, temporaryPaths } from '../checkpoint/temporary-folder.js';
import { readJsonFile } from '../data/stored-data.js';
import { expectClose } from '../parity/closeness.js';
import { freshFolder, type Json, logitsOf, sequence, variantFolder } from './model-variant.js';

const temporary = temporaryPaths();
const tolerance = 2e-5;
const ids = [5, 17, 3, 101, 42, 7, 7, 99];

describe.each(['llama', 'qwen2', 'gpt_neox'])('%s', (name) => {
  it('linear scaling: positions times the factor are the positions without it', async () => {
    const scaling = { rope_scaling: { type: 'linear', factor: 4 } };
    const scaled = variantFolder(temporary(), goldenModel(name), scaling);
    const positions = ids.map((_, at) => at);
    const plain = await logitsOf(goldenModel(name), sequence(ids, positions));
    const stretched = await logitsOf(
      scaled,
      sequence(
        ids,
        positions.map((at) => 4 * at),
      ),
    );
    expectClose('logits', stretched, plain, tolerance);
  });

  it('only differences of positions count', async () => {
    const shifted = await logitsOf(
      goldenModel(name),
      sequence(
        ids,
        ids.map((_, at) => at + 20),
      ),
    );
    expectClose('logits', shifted, await logitsOf(goldenModel(name), sequence(ids)), tolerance);
  });
});

/** Buffers that checkpoints of other versions hold beside the parameters. */
const buffers: Readonly<Record<string, readonly string[]>> = {
  gptj: ['transformer.h.0.attn.bias', 'transformer.h.0.attn.masked_bias'],
  llama: ['model.layers.0.self_attn.rotary_emb.inv_freq'],
  qwen2: ['model.layers.0.self_attn.rotary_emb.inv_freq', 'lm_head.weight'],
  gpt_neox: [
    'gpt_neox.layers.0.attention.bias',
    'gpt_neox.layers.0.attention.masked_bias',
    'gpt_neox.layers.0.attention.rotary_emb.inv_freq',
  ],
};

it.each(Object.entries(buffers))('%s: buffers in a checkpoint are skipped', async (name, extra) => {
  const path = temporary();
  const weights = join(goldenModel(name), 'model.safetensors');
  mkdirSync(path);
  symlinkSync(join(goldenModel(name), 'config.json'), join(path, 'config.json'));
  symlinkSync(weights, join(path, 'a.safetensors'));
  const shape = { dtype: 'U8', shape: [1, 1], data_offsets: [0, 1] };
  // One byte each, one after another.
  const header = Object.fromEntries(extra.map((tensor, at) => [tensor, { ...shape, data_offsets: [at, at + 1] }]));
  rawFile(join(path, 'b.safetensors'), header, new Uint8Array(extra.length).fill(7));
  const map = [
    ...parseRawFile(weights).names.map((tensor) => [tensor, 'a.safetensors']),
    ...extra.map((tensor) => [tensor, 'b.safetensors']),
  ];
  writeFileSync(join(path, 'model.safetensors.index.json'), JSON.stringify({ weight_map: Object.fromEntries(map) }));
  expect(await logitsOf(path, sequence(ids))).toEqual(await logitsOf(goldenModel(name), sequence(ids)));
});

it.each<[string, Json, RegExp]>([
  ['gptj', { n_inner: 100 }, /h\.0\.mlp\.fc_in\.weight' has shape \[192,48\], config.json asks for \[100,48\]/],
  ['llama', { num_key_value_heads: 4 }, /k_proj\.weight' has shape \[24,48\], config.json asks for \[48,48\]/],
  ['llama', { attention_bias: true }, /tensor 'model\.layers\.0\.self_attn\.q_proj\.bias' is missing/],
  ['qwen2', { tie_word_embeddings: false }, /tensor 'lm_head\.weight' is missing/],
  ['gpt_neox', { num_hidden_layers: 4 }, /tensor 'gpt_neox\.layers\.3\.\S+' is missing/],
])('%s: weights do not fit %j', async (name, changes, message) => {
  await expect(LanguageModel.open(variantFolder(temporary(), goldenModel(name), changes))).rejects.toThrow(message);
});

describe.each([true, false])('GPT-NeoX with one token, parallel residual %s', (parallel) => {
  const config = {
    ...readJsonFile<Json>(join(goldenModel('gpt_neox'), 'config.json')),
    use_parallel_residual: parallel,
  };

  it('as plain loops compute it', async () => {
    const random = new Random(3);
    const weights = new Map<string, Float32Array>();
    const draw = (name: string, count: number) => {
      const values = Float32Array.from({ length: count }, () => 0.3 * random.normal());
      weights.set(name, values);
      return values;
    };
    const folder = await freshFolder(temporary(), config, draw);
    expectClose('logits', await logitsOf(folder, sequence([42])), oneTokenNeoX(weights, 42, parallel), tolerance);
  });
});

/** With one token attention gives its own value vector, wherever the token stands. Three layers of three heads of 16. */
function oneTokenNeoX(weights: ReadonlyMap<string, Float32Array>, token: number, parallel: boolean): number[] {
  const width = 48;
  const get = (name: string) => weights.get(name)!;
  const linear = (name: string, x: readonly number[]) =>
    [...get(`${name}.bias`)].map((bias, row) => bias + dot(get(`${name}.weight`), row * x.length, x));
  const norm = (name: string, x: readonly number[]) => {
    const mean = x.reduce((sum, value) => sum + value, 0) / width;
    const deviation = Math.sqrt(x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width + 1e-5);
    return x.map((value, at) => ((value - mean) / deviation) * get(`${name}.weight`)[at]! + get(`${name}.bias`)[at]!);
  };
  let x = [...get('gpt_neox.embed_in.weight').subarray(token * width, (token + 1) * width)];
  for (const name of [0, 1, 2].map((layer) => `gpt_neox.layers.${layer}`)) {
    const fused = linear(`${name}.attention.query_key_value`, norm(`${name}.input_layernorm`, x));
    const values = fused.filter((_, at) => at % 48 >= 32);
    const attended = plus(x, linear(`${name}.attention.dense`, values));
    const normalised = norm(`${name}.post_attention_layernorm`, parallel ? x : attended);
    const inner = linear(`${name}.mlp.dense_h_to_4h`, normalised).map(exactGelu);
    x = plus(attended, linear(`${name}.mlp.dense_4h_to_h`, inner));
  }
  const last = norm('gpt_neox.final_layer_norm', x);
  return Array.from({ length: 211 }, (_, row) => dot(get('embed_out.weight'), row * width, last));
}

const plus = (x: readonly number[], y: readonly number[]) => x.map((value, at) => value + y[at]!);

function dot(matrix: Float32Array, start: number, x: readonly number[]): number {
  return x.reduce((sum, value, at) => sum + value * matrix[start + at]!, 0);
}

/** x times the normal distribution function, by Simpson's rule on its density. */
function exactGelu(x: number): number {
  const steps = 400;
  const density = (t: number) => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);
  let area = density(0) + density(x);
  for (let k = 1; k < steps; k++) area += (k % 2 === 1 ? 4 : 2) * density((k * x) / steps);
  return x * (0.5 + (area * x) / (3 * steps));
}
