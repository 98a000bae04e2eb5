// A transformer block with a language-model head, small enough for finite differences: what editing differentiates.

import * as b from '../../src/graph/build.js';
import type { Value } from '../../src/graph/ops.js';
import { Random } from '../../src/util/random.js';
import type { Feeds64, Tensor64 } from './interpreter.js';
import { indexTensor, normalTensor } from './tensor64.js';

const sizes = { batch: 2, tokens: 3, answers: 2, width: 4, heads: 2, inner: 6, vocabulary: 5 } as const;
const { width, heads, inner, vocabulary } = sizes;
const headSize = width / heads;

const shapes: Readonly<Record<string, readonly number[]>> = {
  embedding: [vocabulary, width],
  'norm1.weight': [width],
  'norm1.bias': [width],
  'qkv.weight': [width, 3 * width],
  'qkv.bias': [3 * width],
  'out.weight': [width, width],
  'out.bias': [width],
  'norm2.weight': [width],
  'norm2.bias': [width],
  'up.weight': [width, inner],
  'up.bias': [inner],
  'down.weight': [inner, width],
  'down.bias': [width],
  'norm3.weight': [width],
  'norm3.bias': [width],
};

interface SmallTransformer {
  /** By name; differentiate by these very values. */
  readonly parameters: ReadonlyMap<string, Value>;
  readonly parameter: (name: string) => Value;
  /** [batch*tokens, width] */
  readonly embedded: Value;
  /** [answers, vocabulary] */
  readonly logits: Value;
  /** Sum of the answers' cross-entropy. */
  readonly loss: Value;
}

type Parameter = (name: string) => Value;

export function linear(x: Value, name: string, parameter: Parameter): Value {
  return b.gemm(x, parameter(`${name}.weight`), { plus: parameter(`${name}.bias`) });
}

export function norm(x: Value, name: string, parameter: Parameter): Value {
  return b.layerNorm(x, parameter(`${name}.weight`), parameter(`${name}.bias`), 0.01);
}

/** Causal self-attention of [batch*tokens, width]: `qkv` in one product, two heads. */
export function attention(x: Value, parameter: Parameter): Value {
  const byHead = (rows: Value) => b.transpose(b.reshape(rows, ['batch', 'tokens', heads, headSize]), [0, 2, 1, 3]);
  const [q, k, v] = b.split(linear(x, 'qkv', parameter), 1, 3).map(byHead) as [Value, Value, Value];
  const scores = b.mul(b.matMul(q, k, { transposeB: true }), headSize ** -0.5); // [batch, heads, tokens, tokens]
  const mixed = b.matMul(b.softmax(b.add(scores, b.causalMask('tokens'))), v);
  return b.reshape(b.transpose(mixed, [0, 2, 1, 3]), ['batch*tokens', width]);
}

export function makeParameters(): ReadonlyMap<string, Value> {
  return new Map(Object.entries(shapes).map(([name, shape]) => [name, b.parameter(name, shape)]));
}

/** Norm, attention, norm, MLP; then only the answers' rows reach the last norm and the vocabulary (tied). */
export function smallTransformer(): SmallTransformer {
  const parameters = makeParameters();
  const parameter = (name: string) => parameters.get(name)!;
  const ids = b.input('tokenIds', ['batch', 'tokens'], 'i64');
  const embedded = b.reshape(b.gatherRows(parameter('embedding'), ids), ['batch*tokens', width]);
  const mixed = attention(norm(embedded, 'norm1', parameter), parameter);
  const attended = b.add(embedded, linear(mixed, 'out', parameter));
  const raised = b.gelu(linear(norm(attended, 'norm2', parameter), 'up', parameter), 'tanh');
  const hidden = b.add(attended, linear(raised, 'down', parameter));
  const answers = b.gatherRows(hidden, b.input('answerRows', ['answers'], 'i64')); // [answers, width]
  const logits = b.gemm(norm(answers, 'norm3', parameter), parameter('embedding'), { transposeB: true });
  const loss = b.reduceSum(b.crossEntropy(logits, b.input('labels', ['answers'], 'i64')));
  return { parameters, parameter, embedded, logits, loss };
}

export function transformerFeeds(seed: number): Feeds64 {
  const random = new Random(seed);
  const { batch, tokens, answers } = sizes;
  const feeds: Record<string, Tensor64> = {
    tokenIds: indexTensor(random, [batch, tokens], vocabulary),
    answerRows: indexTensor(random, [answers], batch * tokens),
    labels: indexTensor(random, [answers], vocabulary),
    logitsBefore: normalTensor(random, [answers, vocabulary]),
  };
  for (const [name, shape] of Object.entries(shapes)) feeds[`@${name}`] = normalTensor(random, shape, 0.7);
  return feeds;
}
