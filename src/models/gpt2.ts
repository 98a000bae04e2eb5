// GPT-2: config, attention, MLP, block, body, head, quirks. Parameter names are those of `GPT2LMHeadModel`.

import { z } from 'zod';
import { add, gatherRows, gemm, input, layerNorm, parameter, reshape, split } from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import { activationNames, activations } from './activation.js';
import { attend, causalPaddingMask } from './attention.js';
import { contradiction, parseConfig } from './config.js';
import type { EditableLayer, Forward, ForwardOptions, ModelDefinition, ParameterSpec, Tap } from './model.js';

const count = z.int().positive();

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

/** The graph under construction: taps are collected on the way. */
class Gpt2 {
  readonly #config: Config;
  readonly #options: ForwardOptions;
  readonly taps = new Map<string, Tap>();
  readonly answerRows = input('answerRows', ['answers'], 'i64');

  constructor(config: Config, options: ForwardOptions) {
    this.#config = config;
    this.#options = options;
  }

  /** Conv1D: weight [in, out]. */
  #linear(name: string, keys: Value): Value {
    const layer = layersOf(this.#config).find((candidate) => candidate.name === name)!;
    const weight = parameter(`${name}.weight`, [layer.keySize, layer.valueSize]);
    const values = gemm(keys, weight, { plus: parameter(`${name}.bias`, [layer.valueSize]) });
    this.taps.set(name, { keys, values, rows: keys.shape[0] === 'answers' ? 'answers' : 'tokens' });
    return values;
  }

  #norm(name: string, x: Value): Value {
    const { n_embd, layer_norm_epsilon } = this.#config;
    return layerNorm(x, parameter(`${name}.weight`, [n_embd]), parameter(`${name}.bias`, [n_embd]), layer_norm_epsilon);
  }

  /** The rows that the last block goes on with. */
  #answersOnly(block: number, x: Value): Value {
    const last = block === this.#config.n_layer - 1;
    return last && this.#options.answersOnlyInLastBlock ? gatherRows(x, this.answerRows) : x;
  }

  #attention(block: number, x: Value, mask: Value): Value {
    const { n_embd, n_head, scale_attn_weights, scale_attn_by_inverse_layer_idx } = this.#config;
    const [q, k, v] = split(this.#linear(`${blockName(block)}.attn.c_attn`, x), 1, 3) as [Value, Value, Value];
    const byHead = scale_attn_weights ? (n_embd / n_head) ** -0.5 : 1;
    const scale = scale_attn_by_inverse_layer_idx ? byHead / (block + 1) : byHead;
    const mixed = attend(q, k, v, { heads: n_head, scale, mask });
    return this.#linear(`${blockName(block)}.attn.c_proj`, this.#answersOnly(block, mixed));
  }

  #mlp(block: number, x: Value): Value {
    const inner = this.#linear(`${blockName(block)}.mlp.c_fc`, x); // [rows, inner]
    return this.#linear(`${blockName(block)}.mlp.c_proj`, activations[this.#config.activation_function](inner));
  }

  #block(block: number, x: Value, mask: Value): Value {
    const attended = this.#attention(block, this.#norm(`${blockName(block)}.ln_1`, x), mask);
    const middle = add(this.#answersOnly(block, x), attended); // [rows, width]
    return add(middle, this.#mlp(block, this.#norm(`${blockName(block)}.ln_2`, middle)));
  }

  #embed(): Value {
    const { vocab_size, n_positions, n_embd } = this.#config;
    const ids = input('tokenIds', ['batch', 'tokens'], 'i64');
    const positions = input('positions', ['batch', 'tokens'], 'i64');
    const tokens = gatherRows(parameter('transformer.wte.weight', [vocab_size, n_embd]), ids); // [batch, tokens, width]
    const places = gatherRows(parameter('transformer.wpe.weight', [n_positions, n_embd]), positions);
    return reshape(add(tokens, places), ['batch*tokens', n_embd]);
  }

  forward(): Forward {
    const { n_layer, n_embd, vocab_size, tie_word_embeddings } = this.#config;
    const mask = causalPaddingMask();
    const hidden = [this.#embed()];
    for (let block = 0; block < n_layer; block++) hidden.push(this.#block(block, hidden[block]!, mask));
    const last = hidden.pop()!;
    const answers = last.shape[0] === 'answers' ? last : gatherRows(last, this.answerRows);
    const normalised = this.#norm('transformer.ln_f', answers);
    const head = parameter(tie_word_embeddings ? 'transformer.wte.weight' : 'lm_head.weight', [vocab_size, n_embd]);
    const logits = gemm(normalised, head, { transposeB: true });
    return { logits, taps: this.taps, hidden: [...hidden, normalised] };
  }
}

const blockName = (block: number) => `transformer.h.${block}`;

function innerSize({ n_inner, n_embd }: Config): number {
  return n_inner ?? 4 * n_embd;
}

function layersOf(config: Config): EditableLayer[] {
  const width = config.n_embd;
  const inner = innerSize(config);
  const sizes = [
    ['attn.c_attn', width, 3 * width],
    ['attn.c_proj', width, width],
    ['mlp.c_fc', width, inner],
    ['mlp.c_proj', inner, width],
  ] as const;
  return Array.from({ length: config.n_layer }, (_, block) =>
    sizes.map(
      ([part, keySize, valueSize]): EditableLayer => ({
        name: `${blockName(block)}.${part}`,
        orientation: 'in-out',
        keySize,
        valueSize,
      }),
    ),
  ).flat();
}

function parametersOf(config: Config): ParameterSpec[] {
  const { n_embd: width, n_layer, vocab_size, n_positions, initializer_range: deviation } = config;
  const norm = (name: string): ParameterSpec[] => [
    { name: `${name}.weight`, shape: [width], initial: { constant: 1 } },
    { name: `${name}.bias`, shape: [width], initial: { constant: 0 } },
  ];
  const matrix = (name: string, shape: readonly number[], scale = 1): ParameterSpec => ({
    name,
    shape,
    initial: { deviation: deviation * scale },
  });
  // Projections into the residual stream start smaller, by the root of their number (Radford et al. 2019).
  const residualScale = (2 * n_layer) ** -0.5;
  const linear = ({ name, keySize, valueSize }: EditableLayer): ParameterSpec[] => [
    matrix(`${name}.weight`, [keySize, valueSize], name.endsWith('c_proj') ? residualScale : 1),
    { name: `${name}.bias`, shape: [valueSize], initial: { constant: 0 } },
  ];
  return [
    matrix('transformer.wte.weight', [vocab_size, width]),
    matrix('transformer.wpe.weight', [n_positions, width]),
    ...Array.from({ length: n_layer }, (_, block) => [
      ...norm(`${blockName(block)}.ln_1`),
      ...norm(`${blockName(block)}.ln_2`),
    ]).flat(),
    ...layersOf(config).flatMap(linear),
    ...norm('transformer.ln_f'),
    ...(config.tie_word_embeddings ? [] : [matrix('lm_head.weight', [vocab_size, width])]),
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
  const layers = layersOf(config);
  const projections = layers.filter(({ name }) => name.endsWith('mlp.c_proj'));
  return {
    modelType: 'gpt2',
    vocabularySize: config.vocab_size,
    contextTokens: config.n_positions,
    parameters: parametersOf(config),
    layers,
    defaultLayers: projections.slice(-6).map(({ name }) => name),
    tensorName,
    forward: (options) => new Gpt2(config, options).forward(),
  };
}
