// Llama: config, attention, MLP, block, body, head. Parameter names are those of `LlamaForCausalLM`. Mistral and Qwen2 are this
// model with other biases, defaults and limits.

import { z } from 'zod';
import { add, mul } from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import { activationNames, activations } from './activation.js';
import { attend, causalSight, type Sight } from './attention.js';
import { contradiction, count, parseConfig } from './config.js';
import { type DecoderParts, decoderForward, embedding, type KeepRows, tokenIds, vocabularyHead } from './decoder.js';
import { blockLinears, type Linear, Linears, linearParameters } from './linear.js';
import { lastProjections, type ModelDefinition, type ParameterSpec } from './model.js';
import { namedRmsNorm, rmsNormParameter } from './rms-norm.js';
import { type RopeNeeds, readRope, ropeKeys } from './rope-settings.js';
import { type Rotation, rotate, rotation } from './rotary.js';

/** What a configuration that says nothing means. */
interface Defaults {
  readonly vocab_size: number;
  readonly intermediate_size: number;
  /** null: as many as heads */
  readonly num_key_value_heads: number | null;
  readonly max_position_embeddings: number;
}

/** The keys that the whole family reads; what they default to differs. */
export const llamaSchema = (defaults: Defaults) =>
  z.object({
    vocab_size: count.default(defaults.vocab_size),
    hidden_size: count.default(4096),
    intermediate_size: count.default(defaults.intermediate_size),
    num_hidden_layers: count.default(32),
    num_attention_heads: count.default(32),
    /** null: as many as heads */
    num_key_value_heads: count.nullable().default(defaults.num_key_value_heads),
    /** Absent or null: hidden_size / num_attention_heads */
    head_dim: count.nullish(),
    hidden_act: z.enum(activationNames).default('silu'),
    max_position_embeddings: count.default(defaults.max_position_embeddings),
    initializer_range: z.number().positive().default(0.02),
    rms_norm_eps: z.number().positive().default(1e-6),
    tie_word_embeddings: z.boolean().default(false),
    ...ropeKeys,
  });

type Config = z.infer<ReturnType<typeof llamaSchema>>;

/** How a member of the family departs from Llama's plain form. */
export interface Family {
  readonly modelType: string;
  readonly queryKeyValueBias: boolean;
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  /** Tokens that attention looks back at; longer inputs are not read. null: all */
  readonly window: number | null;
}

interface Sizes {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
}

/** What follows from a configuration, and how one graph sees tokens. */
interface Parts {
  readonly sizes: Sizes;
  readonly linears: readonly Linear[];
  readonly frequencies: readonly number[];
  readonly sight: Sight;
}

const defaultTheta = 10_000;
const embeddingName = 'model.embed_tokens.weight';
const headWeight = ({ tie_word_embeddings }: Config) => (tie_word_embeddings ? embeddingName : 'lm_head.weight');
const blockName = (block: number) => `model.layers.${block}`;

class Llama implements DecoderParts {
  readonly #config: Config;
  readonly #sizes: Sizes;
  readonly #angles: Rotation;
  readonly sight: Sight;
  readonly linears: Linears;

  constructor(config: Config, { sizes, linears, frequencies, sight }: Parts) {
    this.#config = config;
    this.#sizes = sizes;
    this.#angles = rotation(frequencies);
    this.sight = sight;
    this.linears = new Linears(linears);
  }

  get blocks(): number {
    return this.#config.num_hidden_layers;
  }

  #norm(name: string, x: Value): Value {
    return namedRmsNorm(name, x, this.#config.rms_norm_eps);
  }

  #attention(name: string, x: Value, keep: KeepRows): Value {
    const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((part) => this.linears.apply(`${name}.${part}`, x));
    const mixed = attend(q!, k!, v!, {
      ...this.#sizes,
      scale: this.#sizes.headSize ** -0.5,
      ...this.sight,
      place: (heads) => rotate(heads, this.#angles, 'halves'),
    });
    return this.linears.apply(`${name}.o_proj`, keep(mixed));
  }

  #mlp(name: string, x: Value): Value {
    const gate = activations[this.#config.hidden_act](this.linears.apply(`${name}.gate_proj`, x)); // [rows, inner]
    return this.linears.apply(`${name}.down_proj`, mul(gate, this.linears.apply(`${name}.up_proj`, x)));
  }

  block(index: number, x: Value, keep: KeepRows): Value {
    const name = blockName(index);
    const attended = this.#attention(`${name}.self_attn`, this.#norm(`${name}.input_layernorm`, x), keep);
    const middle = add(keep(x), attended); // [rows, width]
    return add(middle, this.#mlp(`${name}.mlp`, this.#norm(`${name}.post_attention_layernorm`, middle)));
  }

  embed(): Value {
    const { vocab_size, hidden_size } = this.#config;
    return embedding(embeddingName, [vocab_size, hidden_size], tokenIds());
  }

  finalNorm(x: Value): Value {
    return this.#norm('model.norm', x);
  }

  head(x: Value): Value {
    return vocabularyHead(x, headWeight(this.#config), this.#config.vocab_size);
  }
}

function sizesOf(modelType: string, config: Config): Sizes {
  const { hidden_size, num_attention_heads: heads, head_dim } = config;
  const keyValueHeads = config.num_key_value_heads ?? heads;
  if (heads % keyValueHeads !== 0) {
    const counts = `num_attention_heads (${heads}) must be a multiple of num_key_value_heads (${keyValueHeads})`;
    throw contradiction(modelType, counts);
  }
  if (head_dim == null && hidden_size % heads !== 0) {
    const sizes = `hidden_size (${hidden_size}) must be a multiple of num_attention_heads (${heads})`;
    throw contradiction(modelType, `${sizes} where head_dim is not given`);
  }
  return { heads, keyValueHeads, headSize: head_dim ?? hidden_size / heads };
}

function linearsOf(config: Config, { heads, keyValueHeads, headSize }: Sizes, family: Family): Linear[] {
  const { hidden_size: width, intermediate_size: inner, num_hidden_layers } = config;
  const { queryKeyValueBias, outputBias, mlpBias } = family;
  return blockLinears(num_hidden_layers, blockName, 'out-in', [
    ['self_attn.q_proj', width, heads * headSize, queryKeyValueBias],
    ['self_attn.k_proj', width, keyValueHeads * headSize, queryKeyValueBias],
    ['self_attn.v_proj', width, keyValueHeads * headSize, queryKeyValueBias],
    ['self_attn.o_proj', heads * headSize, width, outputBias],
    ['mlp.gate_proj', width, inner, mlpBias],
    ['mlp.up_proj', width, inner, mlpBias],
    ['mlp.down_proj', inner, width, mlpBias],
  ]);
}

function parametersOf(config: Config, linears: readonly Linear[]): ParameterSpec[] {
  const { hidden_size: width, vocab_size, num_hidden_layers, initializer_range: deviation } = config;
  const table = (name: string): ParameterSpec => ({ name, shape: [vocab_size, width], initial: { deviation } });
  const norms = Array.from({ length: num_hidden_layers }, (_, block) =>
    ['input_layernorm', 'post_attention_layernorm'].map((norm) =>
      rmsNormParameter(`${blockName(block)}.${norm}`, width),
    ),
  );
  return [
    table(embeddingName),
    ...norms.flat(),
    ...linears.flatMap((linear) => linearParameters(linear, deviation)),
    rmsNormParameter('model.norm', width),
    ...(config.tie_word_embeddings ? [] : [table(headWeight(config))]),
  ];
}

/** The definition of any member of the family. */
export function llamaFamily(config: Config, family: Family): ModelDefinition {
  const sizes = sizesOf(family.modelType, config);
  const { frequencies, contextTokens } = readRope(config, ropeNeeds(family.modelType, config, sizes));
  const linears = linearsOf(config, sizes, family);
  return {
    modelType: family.modelType,
    kind: 'decoder',
    vocabularySize: config.vocab_size,
    contextTokens: Math.min(contextTokens, family.window ?? contextTokens),
    parameters: parametersOf(config, linears),
    layers: linears,
    defaultLayers: lastProjections(linears, 'mlp.down_proj'),
    // Older checkpoints hold `rotary_emb.inv_freq`, which is no parameter and so not read.
    tensorName: (name) => name,
    forward(options) {
      const model = new Llama(config, { sizes, linears, frequencies, sight: causalSight(options.memory) });
      return { ...decoderForward(model, options), taps: model.linears.taps };
    },
  };
}

function ropeNeeds(modelType: string, config: Config, { headSize }: Sizes): RopeNeeds {
  return { modelType, headSize, contextTokens: config.max_position_embeddings, defaultTheta, defaultPart: 1 };
}

export function llama(json: Readonly<Record<string, unknown>>): ModelDefinition {
  const schema = llamaSchema({
    vocab_size: 32_000,
    intermediate_size: 11_008,
    num_key_value_heads: null,
    max_position_embeddings: 2048,
  }).extend({ attention_bias: z.boolean().default(false), mlp_bias: z.boolean().default(false) });
  const config = parseConfig('llama', schema, json);
  return llamaFamily(config, {
    modelType: 'llama',
    queryKeyValueBias: config.attention_bias,
    outputBias: config.attention_bias,
    mlpBias: config.mlp_bias,
    window: null,
  });
}
