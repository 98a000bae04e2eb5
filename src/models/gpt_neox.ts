// GPT-NeoX (Pythia): config, attention, MLP, block, body, head, quirks. Parameter names are those of `GPTNeoXForCausalLM`.

import { z } from 'zod';
import { add, reshape, split } from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import { activationNames, activations } from './activation.js';
import { attend, causalSight, type Sight } from './attention.js';
import { contradiction, count, parseConfig } from './config.js';
import { type DecoderParts, decoderForward, embedding, type KeepRows, tokenIds, vocabularyHead } from './decoder.js';
import { layerNormParameters, namedLayerNorm } from './layer-norm.js';
import { blockLinears, type Linear, Linears, linearParameters } from './linear.js';
import { lastProjections, type ModelDefinition, type ParameterSpec } from './model.js';
import { type Rope, readRope, ropeKeys } from './rope-settings.js';
import { type Rotation, rotate, rotation } from './rotary.js';

const configSchema = z.object({
  vocab_size: count.default(50_432),
  hidden_size: count.default(6144),
  num_hidden_layers: count.default(44),
  num_attention_heads: count.default(64),
  intermediate_size: count.default(24_576),
  hidden_act: z.enum(activationNames).default('gelu'),
  /** The part of each head that is turned with the position, by its older and its newer name. */
  rotary_pct: z.number().positive().max(1).nullish(),
  partial_rotary_factor: z.number().positive().max(1).nullish(),
  /** The older name of `rope_theta`; where both are given, the one that counts. */
  rotary_emb_base: z.number().positive().nullish(),
  max_position_embeddings: count.default(2048),
  initializer_range: z.number().positive().default(0.02),
  layer_norm_eps: z.number().positive().default(1e-5),
  tie_word_embeddings: z.boolean().default(false),
  use_parallel_residual: z.boolean().default(true),
  attention_bias: z.boolean().default(true),
  ...ropeKeys,
});

type Config = z.infer<typeof configSchema>;

const defaultTheta = 10_000;
const defaultRotaryPart = 0.25;
const embeddingName = 'gpt_neox.embed_in.weight';
const headWeight = ({ tie_word_embeddings }: Config) => (tie_word_embeddings ? embeddingName : 'embed_out.weight');
const blockName = (block: number) => `gpt_neox.layers.${block}`;
const headSizeOf = ({ hidden_size, num_attention_heads }: Config) => hidden_size / num_attention_heads;

class GptNeoX implements DecoderParts {
  readonly #config: Config;
  readonly #angles: Rotation;
  readonly sight: Sight;
  readonly linears: Linears;

  constructor(config: Config, { frequencies }: Rope, sight: Sight) {
    this.#config = config;
    this.sight = sight;
    this.#angles = rotation(frequencies);
    this.linears = new Linears(linearsOf(config));
  }

  get blocks(): number {
    return this.#config.num_hidden_layers;
  }

  #norm(name: string, x: Value): Value {
    return namedLayerNorm(name, x, this.#config.layer_norm_eps);
  }

  #attention(name: string, x: Value, keep: KeepRows): Value {
    const { num_attention_heads: heads } = this.#config;
    const [q, k, v] = splitByHead(this.linears.apply(`${name}.query_key_value`, x), heads);
    const mixed = attend(q, k, v, {
      heads,
      scale: headSizeOf(this.#config) ** -0.5,
      ...this.sight,
      place: (x) => rotate(x, this.#angles, 'halves'),
    });
    return this.linears.apply(`${name}.dense`, keep(mixed));
  }

  #mlp(name: string, x: Value): Value {
    const inner = this.linears.apply(`${name}.dense_h_to_4h`, x); // [rows, inner]
    return this.linears.apply(`${name}.dense_4h_to_h`, activations[this.#config.hidden_act](inner));
  }

  /** Attention and MLP side by side over a norm each, or one after the other. */
  block(index: number, x: Value, keep: KeepRows): Value {
    const name = blockName(index);
    const attended = this.#attention(`${name}.attention`, this.#norm(`${name}.input_layernorm`, x), keep);
    const kept = keep(x); // [rows, width]
    const middle = add(kept, attended);
    const parallel = this.#config.use_parallel_residual;
    const normalised = this.#norm(`${name}.post_attention_layernorm`, parallel ? kept : middle);
    return add(middle, this.#mlp(`${name}.mlp`, normalised));
  }

  embed(): Value {
    const { vocab_size, hidden_size } = this.#config;
    return embedding(embeddingName, [vocab_size, hidden_size], tokenIds());
  }

  finalNorm(x: Value): Value {
    return this.#norm('gpt_neox.final_layer_norm', x);
  }

  head(x: Value): Value {
    return vocabularyHead(x, headWeight(this.#config), this.#config.vocab_size);
  }
}

/** Quirk: the fused projection holds query, key and value head by head: [rows, heads * 3 * headSize] -> three [rows, width]. */
function splitByHead(fused: Value, heads: number): [Value, Value, Value] {
  const [rows, width] = [fused.shape[0]!, (fused.shape[1] as number) / 3];
  const byHead = reshape(fused, [rows, heads, (3 * width) / heads]);
  return split(byHead, 2, 3).map((part) => reshape(part, [rows, width])) as [Value, Value, Value];
}

function linearsOf(config: Config): Linear[] {
  const { hidden_size: width, intermediate_size: inner, num_hidden_layers, attention_bias } = config;
  return blockLinears(num_hidden_layers, blockName, 'out-in', [
    ['attention.query_key_value', width, 3 * width, attention_bias],
    ['attention.dense', width, width, attention_bias],
    ['mlp.dense_h_to_4h', width, inner, true],
    ['mlp.dense_4h_to_h', inner, width, true],
  ]);
}

function parametersOf(config: Config): ParameterSpec[] {
  const { hidden_size: width, vocab_size, num_hidden_layers, initializer_range: deviation } = config;
  const table = (name: string): ParameterSpec => ({ name, shape: [vocab_size, width], initial: { deviation } });
  const norms = Array.from({ length: num_hidden_layers }, (_, block) =>
    ['input_layernorm', 'post_attention_layernorm'].flatMap((norm) =>
      layerNormParameters(`${blockName(block)}.${norm}`, width),
    ),
  );
  return [
    table(embeddingName),
    ...norms.flat(),
    ...linearsOf(config).flatMap((linear) => linearParameters(linear, deviation)),
    ...layerNormParameters('gpt_neox.final_layer_norm', width),
    ...(config.tie_word_embeddings ? [] : [table(headWeight(config))]),
  ];
}

function ropeOf(config: Config): Rope {
  const { hidden_size, num_attention_heads, rotary_pct, partial_rotary_factor, rotary_emb_base, rope_theta } = config;
  if (hidden_size % num_attention_heads !== 0) {
    const sizes = `hidden_size (${hidden_size}) must be a multiple of num_attention_heads (${num_attention_heads})`;
    throw contradiction('gpt_neox', sizes);
  }
  return readRope(
    { ...config, rope_theta: rotary_emb_base ?? rope_theta },
    {
      modelType: 'gpt_neox',
      headSize: headSizeOf(config),
      contextTokens: config.max_position_embeddings,
      defaultTheta,
      defaultPart: rotary_pct ?? partial_rotary_factor ?? defaultRotaryPart,
    },
  );
}

export function gptNeox(json: Readonly<Record<string, unknown>>): ModelDefinition {
  const config = parseConfig('gpt_neox', configSchema, json);
  const rope = ropeOf(config);
  const layers = linearsOf(config);
  return {
    modelType: 'gpt_neox',
    kind: 'decoder',
    vocabularySize: config.vocab_size,
    contextTokens: rope.contextTokens,
    parameters: parametersOf(config),
    layers,
    defaultLayers: lastProjections(layers, 'mlp.dense_4h_to_h'),
    // Buffers of older checkpoints (`attention.bias`, `attention.masked_bias`, `rotary_emb.inv_freq`) are no parameters.
    tensorName: (name) => name,
    forward(options) {
      const model = new GptNeoX(config, rope, causalSight(options.memory));
      return { ...decoderForward(model, options), taps: model.linears.taps };
    },
  };
}
