// BERT as a fact checker: config, attention, MLP, block, body, head, quirks. Parameter names are those of the published
// checker: the encoder under `backbone.`, one linear unit on the first token under `classifier.`.

import { z } from 'zod';
import { add, gatherRows, gemm, input, pad, parameter } from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import { activationNames, activations } from './activation.js';
import { attend, paddingMask } from './attention.js';
import { contradiction, count, parseConfig } from './config.js';
import { embedding, type KeepRows, tokenIds } from './decoder.js';
import { layerNormParameters, namedLayerNorm } from './layer-norm.js';
import { blockLinears, type Linear, Linears, linearParameters } from './linear.js';
import {
  type Forward,
  type ForwardOptions,
  lastProjections,
  type ModelDefinition,
  type ParameterSpec,
} from './model.js';

const configSchema = z.object({
  vocab_size: count.default(30522),
  hidden_size: count.default(768),
  num_hidden_layers: count.default(12),
  num_attention_heads: count.default(12),
  intermediate_size: count.default(3072),
  hidden_act: z.enum(activationNames).default('gelu'),
  max_position_embeddings: count.default(512),
  type_vocab_size: count.default(2),
  layer_norm_eps: z.number().positive().default(1e-12),
  initializer_range: z.number().positive().default(0.02),
  position_embedding_type: z
    .literal('absolute', { error: 'only absolute positions are supported' })
    .default('absolute'),
  is_decoder: z.literal(false, { error: 'a BERT decoder is not supported: only the encoder' }).default(false),
});

type Config = z.infer<typeof configSchema>;

const blockName = (block: number) => `backbone.encoder.layer.${block}`;
const tables = ['word_embeddings', 'position_embeddings', 'token_type_embeddings'].map(
  (table) => `backbone.embeddings.${table}.weight`,
) as [string, string, string];
const embeddingNorm = 'backbone.embeddings.LayerNorm';

class Bert {
  readonly #config: Config;
  readonly linears: Linears;
  readonly #mask = paddingMask();
  readonly #answerRows = input('answerRows', ['answers'], 'i64');

  constructor(config: Config) {
    this.#config = config;
    this.linears = new Linears(linearsOf(config));
  }

  #norm(name: string, x: Value): Value {
    return namedLayerNorm(name, x, this.#config.layer_norm_eps);
  }

  #attention(name: string, x: Value, keep: KeepRows): Value {
    const { hidden_size, num_attention_heads: heads } = this.#config;
    const [q, k, v] = ['query', 'key', 'value'].map((part) => this.linears.apply(`${name}.self.${part}`, x));
    const mixed = attend(q!, k!, v!, { heads, scale: (hidden_size / heads) ** -0.5, mask: this.#mask });
    return this.linears.apply(`${name}.output.dense`, keep(mixed));
  }

  #mlp(name: string, x: Value): Value {
    const inner = this.linears.apply(`${name}.intermediate.dense`, x); // [rows, inner]
    return this.linears.apply(`${name}.output.dense`, activations[this.#config.hidden_act](inner));
  }

  /** Norms come after the sums. */
  #block(index: number, x: Value, keep: KeepRows): Value {
    const name = blockName(index);
    const attended = add(keep(x), this.#attention(`${name}.attention`, x, keep)); // [rows, width]
    const middle = this.#norm(`${name}.attention.output.LayerNorm`, attended);
    return this.#norm(`${name}.output.LayerNorm`, add(middle, this.#mlp(name, middle)));
  }

  #embed(): Value {
    const { vocab_size, max_position_embeddings, type_vocab_size, hidden_size: width } = this.#config;
    const words = embedding(tables[0], [vocab_size, width], tokenIds());
    const positions = input('positions', ['batch', 'tokens'], 'i64');
    const places = embedding(tables[1], [max_position_embeddings, width], positions);
    const segments = embedding(tables[2], [type_vocab_size, width], input('tokenTypes', ['batch', 'tokens'], 'i64'));
    return this.#norm(embeddingNorm, add(add(words, segments), places));
  }

  /** One logit z for SUPPORTS, as the two-way logits [0, z]: their softmax is (1 - sigmoid(z), sigmoid(z)). */
  #head(first: Value): Value {
    const weight = parameter('classifier.weight', [1, this.#config.hidden_size]);
    const logit = gemm(first, weight, { transposeB: true, plus: parameter('classifier.bias', [1]) }); // [answers, 1]
    return pad(logit, 1, 1, 0);
  }

  forward({ answersOnlyInLastBlock }: ForwardOptions): Omit<Forward, 'taps'> {
    const blocks = this.#config.num_hidden_layers;
    const toAnswers: KeepRows = (rows) => gatherRows(rows, this.#answerRows);
    const everyRow: KeepRows = (rows) => rows;
    const hidden = [this.#embed()];
    for (let index = 0; index < blocks; index++) {
      const answersOnly = answersOnlyInLastBlock && index === blocks - 1;
      hidden.push(this.#block(index, hidden[index]!, answersOnly ? toAnswers : everyRow));
    }
    const last = hidden.at(-1)!;
    return { logits: this.#head(last.shape[0] === 'answers' ? last : toAnswers(last)), hidden };
  }
}

function linearsOf({ hidden_size: width, intermediate_size: inner, num_hidden_layers }: Config): Linear[] {
  return blockLinears(num_hidden_layers, blockName, 'out-in', [
    ['attention.self.query', width, width, true],
    ['attention.self.key', width, width, true],
    ['attention.self.value', width, width, true],
    ['attention.output.dense', width, width, true],
    ['intermediate.dense', width, inner, true],
    ['output.dense', inner, width, true],
  ]);
}

function parametersOf(config: Config): ParameterSpec[] {
  const { hidden_size: width, initializer_range: deviation, num_hidden_layers } = config;
  const sizes = [config.vocab_size, config.max_position_embeddings, config.type_vocab_size];
  const norms = Array.from({ length: num_hidden_layers }, (_, block) =>
    ['attention.output', 'output'].flatMap((part) =>
      layerNormParameters(`${blockName(block)}.${part}.LayerNorm`, width),
    ),
  );
  return [
    ...tables.map((name, at): ParameterSpec => ({ name, shape: [sizes[at]!, width], initial: { deviation } })),
    ...layerNormParameters(embeddingNorm, width),
    ...norms.flat(),
    ...linearsOf(config).flatMap((linear) => linearParameters(linear, deviation)),
    { name: 'classifier.weight', shape: [1, width], initial: { deviation }, isHead: true },
    { name: 'classifier.bias', shape: [1], initial: { constant: 0 }, isHead: true },
  ];
}

/**
 * Quirk: an encoder alone has no `backbone.`, one with other heads has `bert.` instead, and the oldest files call a norm's
 * weight and bias `gamma` and `beta`.
 */
function tensorName(name: string, checkpoint: ReadonlySet<string>): string {
  const old = name.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta');
  const spellings = [name, old].flatMap((one) =>
    ['backbone.', '', 'bert.'].map((prefix) => one.replace(/^backbone\./, prefix)),
  );
  return spellings.find((spelling) => checkpoint.has(spelling)) ?? name;
}

export function bert(json: Readonly<Record<string, unknown>>): ModelDefinition {
  const config = parseConfig('bert', configSchema, json);
  const { hidden_size: width, num_attention_heads: heads } = config;
  if (width % heads !== 0) {
    throw contradiction('bert', `hidden_size (${width}) must be a multiple of num_attention_heads (${heads})`);
  }
  const layers = linearsOf(config);
  const projections = layers.filter(({ name }) => !name.includes('.attention.'));
  return {
    modelType: 'bert',
    kind: 'classifier',
    vocabularySize: config.vocab_size,
    contextTokens: config.max_position_embeddings,
    parameters: parametersOf(config),
    layers,
    defaultLayers: lastProjections(projections, '.output.dense'),
    tensorName,
    forward(options) {
      const model = new Bert(config);
      return { ...model.forward(options), taps: model.linears.taps };
    },
  };
}
