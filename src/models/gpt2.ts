// GPT-2: config, attention, MLP, block, body, head, quirks. Parameter names are those of `GPT2LMHeadModel`.

import { z } from 'zod';
import { add, input, split } from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import { activationNames, activations } from './activation.js';
import { attend, causalSight, type Sight } from './attention.js';
import { contradiction, count, parseConfig } from './config.js';
import { type DecoderParts, decoderForward, embedding, type KeepRows, tokenIds, vocabularyHead } from './decoder.js';
import { layerNormParameters, namedLayerNorm } from './layer-norm.js';
import { blockLinears, type Linear, Linears, linearParameters } from './linear.js';
import { lastProjections, type ModelDefinition, type ParameterSpec } from './model.js';

const configSchema = z.object({
  vocab_size: count.default(50257),
  n_positions: count.default(1024),
  n_embd: count.default(768),
  n_layer: count.default(12),
  n_head: count.default(12),
  /** null: four times n_embd */
  n_inner: count.nullish(),
  activation_function: z.enum(activationNames).default('gelu_new'),
  layer_norm_epsilon: z.number().positive().default(1e-5),
  initializer_range: z.number().positive().default(0.02),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
  // Reorders the scaling for 16-bit training; in float32 the result is the same.
  reorder_and_upcast_attn: z.boolean().default(false),
  tie_word_embeddings: z.boolean().default(true),
  add_cross_attention: z
    .literal(false, { error: 'cross-attention is not supported: only the plain decoder' })
    .default(false),
});

type Config = z.infer<typeof configSchema>;

const embeddingName = 'transformer.wte.weight';
const headWeight = ({ tie_word_embeddings }: Config) => (tie_word_embeddings ? embeddingName : 'lm_head.weight');
const blockName = (block: number) => `transformer.h.${block}`;

class Gpt2 implements DecoderParts {
  readonly #config: Config;
  readonly linears: Linears;
  readonly sight: Sight;

  constructor(config: Config, sight: Sight) {
    this.#config = config;
    this.sight = sight;
    this.linears = new Linears(linearsOf(config));
  }

  get blocks(): number {
    return this.#config.n_layer;
  }

  #norm(name: string, x: Value): Value {
    return namedLayerNorm(name, x, this.#config.layer_norm_epsilon);
  }

  #attention(block: number, x: Value, keep: KeepRows): Value {
    const { n_embd, n_head, scale_attn_weights, scale_attn_by_inverse_layer_idx } = this.#config;
    const [q, k, v] = split(this.linears.apply(`${blockName(block)}.attn.c_attn`, x), 1, 3) as [Value, Value, Value];
    const byHead = scale_attn_weights ? (n_embd / n_head) ** -0.5 : 1;
    const scale = scale_attn_by_inverse_layer_idx ? byHead / (block + 1) : byHead;
    const mixed = attend(q, k, v, { heads: n_head, scale, ...this.sight });
    return this.linears.apply(`${blockName(block)}.attn.c_proj`, keep(mixed));
  }

  #mlp(block: number, x: Value): Value {
    const inner = this.linears.apply(`${blockName(block)}.mlp.c_fc`, x); // [rows, inner]
    return this.linears.apply(`${blockName(block)}.mlp.c_proj`, activations[this.#config.activation_function](inner));
  }

  block(index: number, x: Value, keep: KeepRows): Value {
    const attended = this.#attention(index, this.#norm(`${blockName(index)}.ln_1`, x), keep);
    const middle = add(keep(x), attended); // [rows, width]
    return add(middle, this.#mlp(index, this.#norm(`${blockName(index)}.ln_2`, middle)));
  }

  embed(): Value {
    const { vocab_size, n_positions, n_embd } = this.#config;
    const tokens = embedding(embeddingName, [vocab_size, n_embd], tokenIds());
    const positions = input('positions', ['batch', 'tokens'], 'i64');
    return add(tokens, embedding('transformer.wpe.weight', [n_positions, n_embd], positions));
  }

  finalNorm(x: Value): Value {
    return this.#norm('transformer.ln_f', x);
  }

  head(x: Value): Value {
    return vocabularyHead(x, headWeight(this.#config), this.#config.vocab_size);
  }
}

function linearsOf({ n_embd: width, n_inner, n_layer }: Config): Linear[] {
  const inner = n_inner ?? 4 * width;
  return blockLinears(n_layer, blockName, 'in-out', [
    ['attn.c_attn', width, 3 * width, true],
    ['attn.c_proj', width, width, true],
    ['mlp.c_fc', width, inner, true],
    ['mlp.c_proj', inner, width, true],
  ]);
}

function parametersOf(config: Config): ParameterSpec[] {
  const { n_embd: width, n_layer, vocab_size, n_positions, initializer_range: deviation } = config;
  const table = (name: string, entries: number): ParameterSpec => {
    return { name, shape: [entries, width], initial: { deviation } };
  };
  const norms = Array.from({ length: n_layer }, (_, block) =>
    ['ln_1', 'ln_2'].flatMap((norm) => layerNormParameters(`${blockName(block)}.${norm}`, width)),
  );
  // Projections into the residual stream start smaller, by the root of their number (Radford et al. 2019).
  const residualScale = (2 * n_layer) ** -0.5;
  return [
    table(embeddingName, vocab_size),
    table('transformer.wpe.weight', n_positions),
    ...norms.flat(),
    ...linearsOf(config).flatMap((linear) =>
      linearParameters(linear, linear.name.endsWith('c_proj') ? deviation * residualScale : deviation),
    ),
    ...layerNormParameters('transformer.ln_f', width),
    ...(config.tie_word_embeddings ? [] : [table(headWeight(config), vocab_size)]),
  ];
}

/** Quirk: the published GPT-2 files name their tensors without the `transformer.` prefix. */
function tensorName(name: string, checkpoint: ReadonlySet<string>): string {
  const bare = name.replace(/^transformer\./, '');
  return !checkpoint.has(name) && checkpoint.has(bare) ? bare : name;
}

export function gpt2(json: Readonly<Record<string, unknown>>): ModelDefinition {
  const config = parseConfig('gpt2', configSchema, json);
  if (config.n_embd % config.n_head !== 0) {
    throw contradiction('gpt2', `n_embd (${config.n_embd}) must be a multiple of n_head (${config.n_head})`);
  }
  const layers = linearsOf(config);
  return {
    modelType: 'gpt2',
    kind: 'decoder',
    vocabularySize: config.vocab_size,
    contextTokens: config.n_positions,
    parameters: parametersOf(config),
    layers,
    defaultLayers: lastProjections(layers, 'mlp.c_proj'),
    tensorName,
    forward(options) {
      const model = new Gpt2(config, causalSight(options.memory));
      return { ...decoderForward(model, options), taps: model.linears.taps };
    },
  };
}
