// The stored torch.save files against the safetensors files of the same models, tensor by tensor.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openWeightFile } from '../../../src/checkpoint/open-weight-file.js';
import { tensorBytes } from '../../../src/checkpoint/stored-tensor.js';
import { parseRawFile } from '../raw-safetensors.js';
import { goldenModel } from '../temporary-folder.js';

test.each([
  ['gpt2', 'pytorch_model.bin', 'model.safetensors', { 'lm_head.weight': 'transformer.wte.weight' }],
  [
    't5_v11',
    'pytorch_model.bin',
    'model.safetensors',
    { 'encoder.embed_tokens.weight': 'shared.weight', 'decoder.embed_tokens.weight': 'shared.weight' },
  ],
  ['bert_fever', 'fever_weights.pt', 'fever.safetensors', {}],
])('%s: %s holds the tensors of %s, tied ones at one place', async (model, torch, safetensors, tied) => {
  const { tensors } = await openWeightFile(join(goldenModel(model), torch));
  const expected = parseRawFile(join(goldenModel(model), safetensors));
  const aliases: Readonly<Record<string, string>> = tied;
  expect([...tensors.keys()].sort()).toEqual([...expected.names, ...Object.keys(aliases)].sort());
  for (const [name, entry] of tensors) {
    const { dtype, shape, bytes } = expected.tensors.get(aliases[name] ?? name)!;
    expect([entry.dtype.toUpperCase(), entry.shape], name).toEqual([dtype, shape]);
    const pieces: Buffer[] = [];
    for await (const piece of tensorBytes(entry)) pieces.push(Buffer.from(piece));
    expect(Buffer.concat(pieces).equals(bytes), name).toBe(true);
    // Mapping wants no more than the element's size; torch aligns to more.
    expect(entry.offset % 64, name).toBe(0);
  }
  for (const [alias, name] of Object.entries(aliases)) {
    expect(tensors.get(alias)!.offset).toBe(tensors.get(name)!.offset);
  }
});
