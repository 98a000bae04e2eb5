// T5, version 1.0 (one matrix in front of relu, tied head) and 1.1 (gated, head of its own): config, attention, MLP, block,
// body, head, quirks. Parameter names are those of `T5ForConditionalGeneration`.

import { z } from 'zod';
import { add, causalMask, gatherRows, input, mul, parameter, reshape } from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import { type ActivationName, activationNames, activations } from './activation.js';
import { attend, paddingMask } from './attention.js';
import { contradiction, count, parseConfig } from './config.js';
import { vocabularyHead } from './decoder.js';
import { type Linear, Linears } from './linear.js';
import type { Forward, ForwardOptions, ModelDefinition, ParameterSpec } from './model.js';
import { positionBias } from './relative-position.js';
import { namedRmsNorm, rmsNormParameter } from './rms-norm.js';

const configSchema = z.object({
  vocab_size: count.default(32128),
  d_model: count.default(512),
  /** Of one head; heads times this need not be d_model. */
  d_kv: count.default(64),
  d_ff: count.default(2048),
  num_layers: count.default(6),
  /** null: as many as `num_layers` */
  num_decoder_layers: count.nullish(),
  num_heads: count.default(8),
  relative_attention_num_buckets: count.default(32),
  relative_attention_max_distance: count.default(128),
  layer_norm_epsilon: z.number().positive().default(1e-6),
  initializer_factor: z.number().positive().default(1),
  /** An activation, or `gated-` and an activation. */
  feed_forward_proj: z.string().default('relu'),
  tie_word_embeddings: z.boolean().default(true),
  /** T5 can read any length; it was trained on this one. */
  n_positions: count.default(512),
});

type Config = z.infer<typeof configSchema> & { readonly gated: boolean; readonly activation: ActivationName };

type Side = 'encoder' | 'decoder';

const embeddingName = 'shared.weight';
const headWeight = ({ tie_word_embeddings }: Config) => (tie_word_embeddings ? embeddingName : 'lm_head.weight');
const tokensOf = { encoder: 'tokens', decoder: 'decoderTokens' } as const;
const blocksOf = ({ num_layers, num_decoder_layers }: Config, side: Side) =>
  side === 'encoder' ? num_layers : (num_decoder_layers ?? num_layers);
const biasTable = (side: Side) => `${side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;
const sublayer = (side: Side, block: number, layer: number) => `${side}.block.${block}.layer.${layer}`;
const mlpSublayer = { encoder: 1, decoder: 2 } as const;
/** Matrices in front of the MLP's activation; the second one is the gate's other half. */
const innerNames = ({ gated }: Config) => (gated ? ['wi_0', 'wi_1'] : ['wi']);

interface Attended {
  readonly queries: 'tokens' | 'decoderTokens';
  /** Rows that keys and values are made of. */
  readonly source: Value;
  readonly keys: 'tokens' | 'decoderTokens';
  readonly mask: Value;
}

class T5 {
  readonly #config: Config;
  readonly linears: Linears;
  readonly #padding = paddingMask();

  constructor(config: Config) {
    this.#config = config;
    this.linears = new Linears(linearsOf(config));
  }

  #norm(name: string, x: Value): Value {
    return namedRmsNorm(name, x, this.#config.layer_norm_epsilon);
  }

  /** Scores are not scaled: the initial weights are. */
  #attention(name: string, x: Value, { source, mask, ...axes }: Attended): Value {
    const q = this.linears.apply(`${name}.q`, x);
    const [k, v] = ['k', 'v'].map((part) => this.linears.apply(`${name}.${part}`, source));
    const mixed = attend(q, k!, v!, { heads: this.#config.num_heads, scale: 1, mask, ...axes });
    return this.linears.apply(`${name}.o`, mixed);
  }

  #mlp(name: string, x: Value): Value {
    const [first, gate] = innerNames(this.#config).map((part) => this.linears.apply(`${name}.${part}`, x));
    const active = activations[this.#config.activation](first!); // [rows, inner]
    return this.linears.apply(`${name}.wo`, gate ? mul(active, gate) : active);
  }

  /** x + MLP(norm(x)) */
  #afterAttention(side: Side, block: number, x: Value): Value {
    const name = sublayer(side, block, mlpSublayer[side]);
    return add(x, this.#mlp(`${name}.DenseReluDense`, this.#norm(`${name}.layer_norm`, x)));
  }

  #selfAttention(side: Side, block: number, x: Value, mask: Value): Value {
    const name = sublayer(side, block, 0);
    const normalised = this.#norm(`${name}.layer_norm`, x);
    const tokens = tokensOf[side];
    const options = { queries: tokens, keys: tokens, source: normalised, mask };
    return add(x, this.#attention(`${name}.SelfAttention`, normalised, options));
  }

  #crossAttention(block: number, x: Value, encoded: Value): Value {
    const name = sublayer('decoder', block, 1);
    const options = { queries: 'decoderTokens', keys: 'tokens', source: encoded, mask: this.#padding } as const;
    return add(x, this.#attention(`${name}.EncDecAttention`, this.#norm(`${name}.layer_norm`, x), options));
  }

  #embed(side: Side): Value {
    const { vocab_size, d_model } = this.#config;
    const tokens = tokensOf[side];
    const ids = input(side === 'encoder' ? 'tokenIds' : 'decoderIds', ['batch', tokens], 'i64');
    return reshape(gatherRows(parameter(embeddingName, [vocab_size, d_model]), ids), [`batch*${tokens}`, d_model]);
  }

  #bias(side: Side): Value {
    const { num_heads, relative_attention_num_buckets, relative_attention_max_distance } = this.#config;
    const buckets = {
      count: relative_attention_num_buckets,
      farthest: relative_attention_max_distance,
      bothWays: side === 'encoder',
    };
    return positionBias({ table: biasTable(side), heads: num_heads, buckets }, tokensOf[side]);
  }

  encode(): Value[] {
    const hidden = [this.#embed('encoder')];
    const mask = add(this.#bias('encoder'), this.#padding); // [batch, heads, tokens, tokens]
    for (let block = 0; block < blocksOf(this.#config, 'encoder'); block++) {
      const attended = this.#selfAttention('encoder', block, hidden[block]!, mask);
      hidden.push(this.#afterAttention('encoder', block, attended));
    }
    return [...hidden.slice(0, -1), this.#norm('encoder.final_layer_norm', hidden.at(-1)!)];
  }

  /** Padding comes after the answer, where no real token looks. */
  decode(encoded: Value, { answersOnlyInLastBlock }: ForwardOptions): Pick<Forward, 'hidden' | 'logits'> {
    const toAnswers = (rows: Value) => gatherRows(rows, input('answerRows', ['answers'], 'i64'));
    const blocks = blocksOf(this.#config, 'decoder');
    const hidden = [this.#embed('decoder')];
    const mask = add(this.#bias('decoder'), causalMask('decoderTokens')); // [1, heads, decoderTokens, decoderTokens]
    for (let block = 0; block < blocks; block++) {
      const own = this.#selfAttention('decoder', block, hidden[block]!, mask);
      const attended = this.#crossAttention(block, own, encoded);
      const kept = answersOnlyInLastBlock && block === blocks - 1 ? toAnswers(attended) : attended;
      hidden.push(this.#afterAttention('decoder', block, kept));
    }
    const last = hidden.pop()!;
    const normalised = this.#norm('decoder.final_layer_norm', last);
    const answers = last.shape[0] === 'answers' ? normalised : toAnswers(normalised);
    return { logits: this.#head(answers), hidden: [...hidden, normalised] };
  }

  /** A head that is the embedding takes smaller inputs: T5 1.0's output scale. */
  #head(x: Value): Value {
    const { tie_word_embeddings, d_model, vocab_size } = this.#config;
    return vocabularyHead(tie_word_embeddings ? mul(x, d_model ** -0.5) : x, headWeight(this.#config), vocab_size);
  }
}

function linearsOf(config: Config): Linear[] {
  const { d_model: width, d_kv, d_ff: inner, num_heads } = config;
  const mixed = d_kv * num_heads;
  const linear = (name: string, keySize: number, valueSize: number): Linear => {
    return { name, orientation: 'out-in', keySize, valueSize, bias: false };
  };
  const attention = (name: string) => [
    ...['q', 'k', 'v'].map((part) => linear(`${name}.${part}`, width, mixed)),
    linear(`${name}.o`, mixed, width),
  ];
  const mlp = (name: string) => [
    ...innerNames(config).map((part) => linear(`${name}.${part}`, width, inner)),
    linear(`${name}.wo`, inner, width),
  ];
  const ofSide = (side: Side) =>
    Array.from({ length: blocksOf(config, side) }, (_, block) => [
      ...attention(`${sublayer(side, block, 0)}.SelfAttention`),
      ...(side === 'decoder' ? attention(`${sublayer(side, block, 1)}.EncDecAttention`) : []),
      ...mlp(`${sublayer(side, block, mlpSublayer[side])}.DenseReluDense`),
    ]).flat();
  return [...ofSide('encoder'), ...ofSide('decoder')];
}

/** As published: matrices start with the inverse root of their input size, queries smaller because scores are not scaled. */
function initialDeviation({ name, keySize }: Linear, { d_kv, initializer_factor }: Config): number {
  return initializer_factor * (name.endsWith('.q') ? (keySize * d_kv) ** -0.5 : keySize ** -0.5);
}

function parametersOf(config: Config): ParameterSpec[] {
  const { d_model: width, vocab_size, num_heads, initializer_factor: factor } = config;
  const sides = ['encoder', 'decoder'] as const;
  const table = (name: string, shape: readonly number[], deviation: number): ParameterSpec => {
    return { name, shape, initial: { deviation } };
  };
  const norms = (side: Side) =>
    Array.from({ length: blocksOf(config, side) }, (_, block) =>
      Array.from({ length: mlpSublayer[side] + 1 }, (_, layer) =>
        rmsNormParameter(`${sublayer(side, block, layer)}.layer_norm`, width),
      ),
    ).flat();
  return [
    table(embeddingName, [vocab_size, width], factor),
    ...sides.map((side) => table(biasTable(side), [config.relative_attention_num_buckets, num_heads], width ** -0.5)),
    ...sides.flatMap((side) => [...norms(side), rmsNormParameter(`${side}.final_layer_norm`, width)]),
    ...linearsOf(config).map((linear) =>
      table(`${linear.name}.weight`, [linear.valueSize, linear.keySize], initialDeviation(linear, config)),
    ),
    ...(config.tie_word_embeddings ? [] : [table(headWeight(config), [vocab_size, width], factor)]),
  ];
}

/** The published choice, in its order: the MLPs of the last two blocks on both sides, gate's active half and output. */
function defaultLayers(config: Config): string[] {
  const [inner] = innerNames(config) as [string];
  return (['decoder', 'encoder'] as const).flatMap((side) => {
    const last = blocksOf(config, side);
    const blocks = [last - 2, last - 1].filter((block) => block >= 0);
    return [inner, 'wo'].flatMap((part) =>
      blocks.map((block) => `${sublayer(side, block, mlpSublayer[side])}.DenseReluDense.${part}`),
    );
  });
}

/** Quirk: some checkpoints store the shared embedding under the name of one of its users only. */
function tensorName(name: string, checkpoint: ReadonlySet<string>): string {
  if (name !== embeddingName) return name;
  const users = ['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight'];
  return [name, ...users].find((user) => checkpoint.has(user)) ?? name;
}

/** `gated-gelu` has always meant the tanh approximation. */
function feedForward(projection: string): { readonly gated: boolean; readonly activation: ActivationName } {
  const gated = projection.startsWith('gated-');
  const name = projection === 'gated-gelu' ? 'gelu_new' : projection.replace(/^gated-/, '');
  const activation = activationNames.find((known) => known === name);
  if (activation) return { gated, activation };
  throw contradiction(
    't5',
    `feed_forward_proj: '${projection}' is not known; expected an activation, or gated-ACTIVATION`,
  );
}

export function t5(json: Readonly<Record<string, unknown>>): ModelDefinition {
  const plain = parseConfig('t5', configSchema, json);
  const config = { ...plain, ...feedForward(plain.feed_forward_proj) };
  if (config.relative_attention_num_buckets % 2 !== 0) {
    throw contradiction('t5', 'relative_attention_num_buckets must be even: half of them look ahead');
  }
  return {
    modelType: 't5',
    kind: 'encoder-decoder',
    vocabularySize: config.vocab_size,
    contextTokens: config.n_positions,
    parameters: parametersOf(config),
    layers: linearsOf(config),
    defaultLayers: defaultLayers(config),
    tensorName,
    forward(options) {
      const model = new T5(config);
      const encoderHidden = model.encode();
      return { ...model.decode(encoderHidden.at(-1)!, options), encoderHidden, taps: model.linears.taps };
    },
  };
}
