// GPT-J: config, attention, MLP, block, body, head, quirks. Parameter names are those of `GPTJForCausalLM`.

import { z } from 'zod';
import { add } from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import { activationNames, activations } from './activation.js';
import { attend, causalSight, type Sight } from './attention.js';
import { contradiction, count, parseConfig } from './config.js';
import { type DecoderParts, decoderForward, embedding, type KeepRows, tokenIds, vocabularyHead } from './decoder.js';
import { layerNormParameters, namedLayerNorm } from './layer-norm.js';
import { blockLinears, type Linear, Linears, linearParameters } from './linear.js';
import { lastProjections, type ModelDefinition, type ParameterSpec } from './model.js';
import { rotaryFrequencies, rotate, rotation } from './rotary.js';

const configSchema = z.object({
  vocab_size: count.default(50400),
  n_positions: count.default(2048),
  n_embd: count.default(4096),
  n_layer: count.default(28),
  n_head: count.default(16),
  /** Elements of each head that are turned with the position. */
  rotary_dim: count.default(64),
  /** null: four times n_embd */
  n_inner: count.nullish(),
  activation_function: z.enum(activationNames).default('gelu_new'),
  layer_norm_epsilon: z.number().positive().default(1e-5),
  initializer_range: z.number().positive().default(0.02),
  tie_word_embeddings: z.boolean().default(false),
});

type Config = z.infer<typeof configSchema>;

const rotaryBase = 10_000;
const embeddingName = 'transformer.wte.weight';
const headWeight = ({ tie_word_embeddings }: Config) => (tie_word_embeddings ? embeddingName : 'lm_head.weight');
const blockName = (block: number) => `transformer.h.${block}`;

class GptJ implements DecoderParts {
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

  #attention(name: string, x: Value, keep: KeepRows): Value {
    const { n_embd, n_head, rotary_dim } = this.#config;
    const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((part) => this.linears.apply(`${name}.${part}`, x));
    const angles = rotation(rotaryFrequencies(rotary_dim, rotaryBase));
    const mixed = attend(q!, k!, v!, {
      heads: n_head,
      scale: (n_embd / n_head) ** -0.5,
      ...this.sight,
      place: (heads) => rotate(heads, angles, 'interleaved'),
    });
    return this.linears.apply(`${name}.out_proj`, keep(mixed));
  }

  #mlp(name: string, x: Value): Value {
    const inner = this.linears.apply(`${name}.fc_in`, x); // [rows, inner]
    return this.linears.apply(`${name}.fc_out`, activations[this.#config.activation_function](inner));
  }

  /** Attention and MLP side by side, over one norm. */
  block(index: number, x: Value, keep: KeepRows): Value {
    const name = blockName(index);
    const normalised = namedLayerNorm(`${name}.ln_1`, x, this.#config.layer_norm_epsilon);
    const attended = this.#attention(`${name}.attn`, normalised, keep);
    return add(add(attended, this.#mlp(`${name}.mlp`, keep(normalised))), keep(x)); // [rows, width]
  }

  embed(): Value {
    const { vocab_size, n_embd } = this.#config;
    return embedding(embeddingName, [vocab_size, n_embd], tokenIds());
  }

  finalNorm(x: Value): Value {
    return namedLayerNorm('transformer.ln_f', x, this.#config.layer_norm_epsilon);
  }

  head(x: Value): Value {
    return vocabularyHead(x, headWeight(this.#config), this.#config.vocab_size, 'lm_head.bias');
  }
}

function linearsOf({ n_embd: width, n_inner, n_layer }: Config): Linear[] {
  const inner = n_inner ?? 4 * width;
  return blockLinears(n_layer, blockName, 'out-in', [
    ['attn.q_proj', width, width, false],
    ['attn.k_proj', width, width, false],
    ['attn.v_proj', width, width, false],
    ['attn.out_proj', width, width, false],
    ['mlp.fc_in', width, inner, true],
    ['mlp.fc_out', inner, width, true],
  ]);
}

function parametersOf(config: Config): ParameterSpec[] {
  const { n_embd: width, n_layer, vocab_size, initializer_range: deviation, tie_word_embeddings } = config;
  const table = (name: string): ParameterSpec => ({ name, shape: [vocab_size, width], initial: { deviation } });
  const norms = Array.from({ length: n_layer }, (_, block) => layerNormParameters(`${blockName(block)}.ln_1`, width));
  return [
    table(embeddingName),
    ...norms.flat(),
    ...linearsOf(config).flatMap((linear) => linearParameters(linear, deviation)),
    ...layerNormParameters('transformer.ln_f', width),
    ...(tie_word_embeddings ? [] : [table(headWeight(config))]),
    { name: 'lm_head.bias', shape: [vocab_size], initial: { constant: 0 } },
  ];
}

function assertConsistent({ n_embd, n_head, rotary_dim }: Config): void {
  if (n_embd % n_head !== 0) throw contradiction('gptj', `n_embd (${n_embd}) must be a multiple of n_head (${n_head})`);
  const headSize = n_embd / n_head;
  if (rotary_dim % 2 === 0 && rotary_dim <= headSize) return;
  throw contradiction('gptj', `rotary_dim (${rotary_dim}) must be even and at most the head size (${headSize})`);
}

export function gptj(json: Readonly<Record<string, unknown>>): ModelDefinition {
  const config = parseConfig('gptj', configSchema, json);
  assertConsistent(config);
  const layers = linearsOf(config);
  return {
    modelType: 'gptj',
    kind: 'decoder',
    vocabularySize: config.vocab_size,
    contextTokens: config.n_positions,
    parameters: parametersOf(config),
    layers,
    defaultLayers: lastProjections(layers, 'mlp.fc_out'),
    // Mask buffers of older checkpoints (`attn.bias`, `attn.masked_bias`) are no parameters and so not read.
    tensorName: (name) => name,
    forward(options) {
      const model = new GptJ(config, causalSight(options.memory));
      return { ...decoderForward(model, options), taps: model.linears.taps };
    },
  };
}
