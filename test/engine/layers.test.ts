// How layers to edit are named, and what is refused.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LanguageModel } from '../../src/engine/language-model.js';
import { goldenModels } from '../parity/golden-folder.js';

const gpt2 = goldenModels().find(({ name }) => name === 'gpt2')!;

describe('layers of GPT-2', () => {
  let model: LanguageModel;
  beforeAll(async () => {
    model = await LanguageModel.open(gpt2.folder);
  });
  afterAll(() => model.close());

  const names = (...asked: string[]) => model.layers(asked).map(({ name }) => name);

  it('are named in full or by an end that only one of them has, in the order asked for', () => {
    expect(names('transformer.h.1.mlp.c_proj', 'h.0.mlp.c_fc')).toEqual([
      'transformer.h.1.mlp.c_proj',
      'transformer.h.0.mlp.c_fc',
    ]);
  });

  it.each([
    ['given twice', ['h.1.mlp.c_proj', 'h.1.mlp.c_proj'], /'transformer\.h\.1\.mlp\.c_proj' is given twice/],
    ['given twice in two spellings', ['h.1.mlp.c_proj', 'transformer.h.1.mlp.c_proj'], /is given twice/],
    ['an end that several have', ['mlp.c_proj'], /'mlp\.c_proj' is the end of several layers.*h\.0\.mlp\.c_proj, /],
    ['a part of a word', ['c_proj2'], /no layer 'c_proj2' to edit; name one of transformer\.h\.0/],
    ['an end within a word', ['proj'], /no layer 'proj' to edit/],
  ])('%s is refused', (_, asked, message) => {
    expect(() => model.layers(asked)).toThrow(message);
    expect(() => model.layers(asked)).toThrow(gpt2.folder);
  });
});
