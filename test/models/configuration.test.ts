// Configurations as other versions of the reference implementation write them, defaults, and configurations that contradict
// themselves.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MalmenError } from '../../src/errors.js';
import { architectures, defineModel } from '../../src/models/index.js';
import { readJsonFile } from '../data/stored-data.js';
import { root } from '../house/source-files.js';
import { goldenModels } from '../parity/golden-folder.js';
import { type Json, modelText } from './model-variant.js';

const stored = goldenModels().filter(({ supported }) => supported);
const configOf = (name: string) =>
  readJsonFile<Json>(join(stored.find((model) => model.name === name)!.folder, 'config.json'));

const spellings = stored.flatMap(({ name, folder }) =>
  readdirSync(folder)
    .filter((file) => /^config\.\w+\.json$/.test(file))
    .map((file) => ({ name, folder, file })),
);

it.each(spellings)('$name: $file is the same model as config.json', ({ folder, file }) => {
  expect(modelText(readJsonFile(join(folder, file)))).toBe(modelText(readJsonFile(join(folder, 'config.json'))));
});

it('several spellings are stored', () => {
  expect(spellings.length).toBeGreaterThan(stored.length);
});

// The spellings also differ in what an old program leaves out; here each setting is moved on its own.
it.each<[string, Json, Json]>([
  ['llama', { rope_theta: 7e5 }, { rope_parameters: { rope_theta: 7e5, rope_type: 'default' }, rope_theta: undefined }],
  [
    'llama3',
    { rope_theta: 7e5 },
    { rope_parameters: { rope_theta: 7e5, ...(configOf('llama3').rope_scaling as Json) } },
  ],
  ['qwen2', { rope_scaling: { type: 'linear', factor: 2 } }, { rope_scaling: { rope_type: 'linear', factor: 2 } }],
  ['gpt_neox', { rotary_emb_base: 7e5 }, { rotary_emb_base: undefined, rope_parameters: { rope_theta: 7e5 } }],
  ['gpt_neox', { rotary_pct: 0.5 }, { rope_parameters: { rope_theta: 1e4, partial_rotary_factor: 0.5 } }],
  ['llama', {}, { num_key_value_heads: 2, head_dim: null }],
  ['llama', { dtype: undefined, torch_dtype: 'bfloat16' }, { dtype: 'bfloat16' }],
])('%s: %j and %j are the same model, and not the stored one unless nothing is changed', (name, old, recent) => {
  const config = configOf(name);
  expect(modelText({ ...config, ...recent })).toBe(modelText({ ...config, ...old }));
  const changes = Object.values(old).some((value) => typeof value !== 'string' && value !== undefined);
  expect(modelText({ ...config, ...old }) === modelText(config)).toBe(!changes);
});

/** Numbers of parameters as they were published with the models. */
const published: [string, Json, number][] = [
  ['GPT-2', { model_type: 'gpt2' }, 124_439_808],
  ['GPT-J 6B', { model_type: 'gptj' }, 6_050_882_784],
  ['GPT-NeoX 20B', { model_type: 'gpt_neox' }, 20_554_567_680],
  ['Llama 7B', { model_type: 'llama' }, 6_738_415_616],
  ['Mistral 7B', { model_type: 'mistral' }, 7_241_732_096],
  [
    'Pythia 70M',
    {
      model_type: 'gpt_neox',
      vocab_size: 50304,
      hidden_size: 512,
      num_hidden_layers: 6,
      num_attention_heads: 8,
      intermediate_size: 2048,
    },
    70_426_624,
  ],
  [
    'Llama 3.2 1B',
    {
      model_type: 'llama',
      vocab_size: 128256,
      hidden_size: 2048,
      num_hidden_layers: 16,
      num_key_value_heads: 8,
      intermediate_size: 8192,
      tie_word_embeddings: true,
    },
    1_235_814_400,
  ],
  [
    'Qwen2 7B',
    {
      model_type: 'qwen2',
      vocab_size: 152064,
      hidden_size: 3584,
      num_hidden_layers: 28,
      num_attention_heads: 28,
      num_key_value_heads: 4,
      intermediate_size: 18944,
    },
    7_615_616_512,
  ],
];

it.each(published)('%s: defaults and shapes add up to the published size', (_, config, expected) => {
  const counts = defineModel(config).parameters.map(({ shape }) => shape.reduce((product, size) => product * size, 1));
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(expected);
});

it('Mistral: the same model as Llama, read up to the window', () => {
  const config = configOf('llama');
  const windowed = { ...config, model_type: 'mistral', sliding_window: 40 };
  const asLlama = (text: string) => text.replace('"modelType": "mistral"', '"modelType": "llama"');
  expect(defineModel(windowed).contextTokens).toBe(40);
  expect(defineModel({ ...windowed, sliding_window: null }).contextTokens).toBe(64);
  expect(asLlama(modelText({ ...windowed, sliding_window: null }))).toBe(modelText(config));
});

it.each([
  [{ use_sliding_window: false, sliding_window: 8 }, 64],
  [{ use_sliding_window: true, sliding_window: 8, max_window_layers: 2, layer_types: null }, 8],
  [{ use_sliding_window: true, sliding_window: 8, max_window_layers: 4, layer_types: null }, 64],
  [{ use_sliding_window: true, sliding_window: 8 }, 64], // its layer_types all say full attention
  [{ use_sliding_window: true, sliding_window: 8, layer_types: ['full_attention', 'sliding_attention'] }, 8],
])('Qwen2: %j reads %i tokens', (changes, tokens) => {
  expect(defineModel({ ...configOf('qwen2'), ...changes }).contextTokens).toBe(tokens);
});

it('dynamic scaling changes nothing up to the trained length, and longer inputs are not read', () => {
  const config = configOf('llama');
  const scaled = (extra: Json) => ({ ...config, rope_scaling: { type: 'dynamic', factor: 4, ...extra } });
  expect(modelText(scaled({}))).toBe(modelText(config));
  expect(defineModel(scaled({ original_max_position_embeddings: 32 })).contextTokens).toBe(32);
});

it.each<[string, Json, RegExp]>([
  ['gpt2', { n_head: 5 }, /n_embd \(48\) must be a multiple of n_head \(5\)/],
  ['gptj', { n_head: 5 }, /n_embd \(48\) must be a multiple of n_head \(5\)/],
  ['gptj', { rotary_dim: 7 }, /rotary_dim \(7\) must be even/],
  ['gptj', { rotary_dim: 18 }, /rotary_dim \(18\) must be even and at most the head size \(16\)/],
  ['gptj', { rotary_dim: null }, /rotary_dim/],
  ['gptj', { activation_function: 'maxout' }, /activation_function/],
  [
    'llama',
    { num_attention_heads: 5, head_dim: null },
    /num_attention_heads \(5\) must be a multiple of num_key_value_heads/,
  ],
  [
    'llama',
    { num_attention_heads: 10, head_dim: null },
    /hidden_size \(48\) must be a multiple of num_attention_heads \(10\)/,
  ],
  ['llama', { num_key_value_heads: 3 }, /num_attention_heads \(4\) must be a multiple of num_key_value_heads \(3\)/],
  ['llama', { num_key_value_heads: 0 }, /num_key_value_heads/],
  ['llama', { head_dim: 13 }, /head of 13 is 13; an even number/],
  ['llama', { hidden_size: '48' }, /hidden_size/],
  [
    'llama',
    { rope_scaling: { type: 'yarn', factor: 4 } },
    /rope_type 'yarn' is not supported \(supported: default, linear/,
  ],
  ['llama', { rope_scaling: { rope_type: 'linear' } }, /rope_type 'linear' needs 'factor'/],
  ['llama', { rope_scaling: { rope_type: 'llama3', factor: 8 } }, /rope_type 'llama3' needs 'low_freq_factor'/],
  ['llama', { rope_scaling: { rope_type: 'linear', factor: 2, mscale: 1 } }, /rope_scaling.*mscale/],
  [
    'llama3',
    { rope_scaling: { ...(configOf('llama3').rope_scaling as Json), high_freq_factor: 1 } },
    /low_freq_factor \(1\) must be less/,
  ],
  ['qwen2', { num_attention_heads: 3, num_key_value_heads: 2 }, /must be a multiple of num_key_value_heads/],
  ['gpt_neox', { num_attention_heads: 5 }, /hidden_size \(48\) must be a multiple of num_attention_heads \(5\)/],
  ['gpt_neox', { rotary_pct: 0.2 }, /0.2 of a head of 16 is 3; an even number/],
  ['gpt_neox', { rotary_pct: 2 }, /rotary_pct/],
])('%s with %j is refused', (name, changes, message) => {
  const define = () => defineModel({ ...configOf(name), ...changes });
  expect(define).toThrow(MalmenError);
  expect(define).toThrow(message);
  expect(define).toThrow(/config\.json/);
});

it('an architecture has a file of its name', () => {
  for (const type of Object.keys(architectures)) {
    expect(existsSync(new URL(`../../src/models/${type}.ts`, import.meta.url)), type).toBe(true);
  }
});

const shipped = join(root, 'configs');

it.each(readdirSync(shipped))('configs/%s makes a model with layers to edit, of settings that it knows', (file) => {
  const config = readJsonFile<Json>(join(shipped, file));
  const { defaultLayers, layers } = defineModel(config);
  expect(layers.map(({ name }) => name)).toEqual(expect.arrayContaining([...defaultLayers]));
  // A setting that nobody reads would be a spelling mistake.
  for (const [key, value] of Object.entries(config)) {
    if (typeof value !== 'number') continue;
    expect([key, modelText({ ...config, [key]: 2 * value }) === modelText(config)]).toEqual([key, false]);
  }
});
