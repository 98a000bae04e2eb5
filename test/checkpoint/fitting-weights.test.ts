// Weights that do not fit their configuration are refused when a model is opened, by file, key or tensor; then the weights'
// own numbers.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openModelFolder } from '../../src/checkpoint/model-folder.js';
import {
  copiedSource,
  readSafetensorsHeader,
  tensorSource,
  writeSafetensors,
} from '../../src/checkpoint/safetensors.js';
import { verifyWeights } from '../../src/checkpoint/verify-weights.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import { i64, type Tensor, zeros } from '../../src/tensor.js';
import { goldenModel, temporaryPaths } from './temporary-folder.js';

const newPath = temporaryPaths();
const base = goldenModel('gpt2');
const name = 'transformer.h.1.mlp.c_fc.weight';

interface Change {
  readonly config?: Readonly<Record<string, unknown>>;
  /** Tensors in place of the base's; `undefined` leaves one out. */
  readonly tensors?: Readonly<Record<string, Tensor | undefined>>;
}

/** A copy of the base model with something changed. */
async function changed({ config = {}, tensors = {} }: Change): Promise<string> {
  const dir = newPath('model');
  mkdirSync(dir);
  const original = JSON.parse(readFileSync(join(base, 'config.json'), 'utf8'));
  writeFileSync(join(dir, 'config.json'), JSON.stringify({ ...original, ...config }));
  const { tensors: entries } = await readSafetensorsHeader(join(base, 'model.safetensors'));
  const sources = [...entries.values()].flatMap((entry) => {
    if (!Object.hasOwn(tensors, entry.name)) return [copiedSource(entry)];
    const replaced = tensors[entry.name];
    return replaced ? [tensorSource(entry.name, replaced)] : [];
  });
  await writeSafetensors(join(dir, 'model.safetensors'), sources);
  return dir;
}

async function openingFails(change: Change): Promise<Error & { readonly code: string }> {
  const dir = await changed(change);
  const opened = LanguageModel.open(dir).then((model) => model.close());
  return opened.then(
    () => {
      throw new Error('the model was opened');
    },
    (error) => error,
  );
}

const shape = [48, 192];

describe('what is refused', () => {
  const cases: [string, Change, string, RegExp][] = [
    [
      'unknown model type',
      { config: { model_type: 'parrot' } },
      'unsupported',
      /^config\.json: model_type 'parrot' is not supported \(supported: .*gpt2/,
    ],
    ['missing tensor', { tensors: { [name]: undefined } }, 'bad-input', new RegExp(`tensor '${name}' is missing$`)],
    [
      'shape of another size',
      { tensors: { [name]: zeros([192, 48]) } },
      'bad-input',
      new RegExp(`tensor '${name}' has shape \\[192,48\\], config.json asks for \\[48,192\\]$`),
    ],
    [
      'integer weight',
      { tensors: { [name]: i64(new BigInt64Array(48 * 192), shape) } },
      'bad-input',
      new RegExp(`tensor '${name}' has dtype i64, expected one of f32, f16, bf16$`),
    ],
    [
      'configuration of another width: the first five tensors and a count',
      { config: { n_embd: 96 } },
      'bad-input',
      /: the weights do not fit the configuration: (tensor '[\w.]+' has shape .+?; ){5}and \d+ more$/,
    ],
    ['heads that do not divide the width', { config: { n_head: 7 } }, 'bad-input', /n_embd \(48\).*n_head \(7\)/],
    ['a key of another type', { config: { n_layer: 'four' } }, 'bad-input', /config\.json \(gpt2\): n_layer: /],
  ];

  test.each(cases)('%s', async (_, change, code, message) => {
    const error = await openingFails(change);
    expect(error.message).toMatch(message);
    expect(error).toMatchObject({ name: 'MalmenError', code });
  });
});

test('unchanged, it opens', async () => {
  const model = await LanguageModel.open(await changed({}));
  expect(model.definition.modelType).toBe('gpt2');
  await model.close();
});

test('a NaN weight is found by tensor and element', async () => {
  const damaged = zeros(shape);
  damaged.data[77] = Number.NaN;
  const dir = await changed({ tensors: { [name]: damaged } });
  await expect(verifyWeights(await openModelFolder(dir))).rejects.toMatchObject({
    name: 'MalmenError',
    code: 'bad-input',
    message: expect.stringContaining(`model.safetensors: tensor '${name}': element 77 is NaN or infinite`),
  });
});
