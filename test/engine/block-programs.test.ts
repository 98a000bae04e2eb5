// Block after block means: no program reads the matrices of more than one block, whether frozen, forward or on the way back.

import { describe, expect, test } from 'vitest';
import { type BlockComputation, BlockPrograms } from '../../src/engine/block-programs.js';
import { LanguageModel } from '../../src/engine/language-model.js';
import { LanguageModelPrograms } from '../../src/engine/lm-programs.js';
import type { ModelDefinition } from '../../src/models/model.js';
import { goldenModels } from '../parity/golden-folder.js';

const models = goldenModels().filter(({ supported }) => supported);

describe.each(models)('$name', ({ folder }) => {
  test.each(['the last two default layers', 'the first layer'])('%s: each program reads one block', async (chosen) => {
    const model = await LanguageModel.open(folder);
    const { definition } = model;
    await model.close();
    const names = chosen === 'the first layer' ? [definition.layers[0]!.name] : definition.defaultLayers.slice(-2);
    const layers = definition.layers.filter(({ name }) => names.includes(name));
    const programs = new BlockPrograms(new LanguageModelPrograms(definition, layers), layers);
    const shifted = new Set(names);
    const computations = [
      programs.capture('answers', shifted),
      programs.lossGradient('answer', shifted, true),
      programs.predict(shifted),
    ];
    const read = computations.flatMap((computation) => blocksRead(definition, computation));
    expect(read.filter((blocks) => blocks.size > 1).map((blocks) => [...blocks])).toEqual([]);
    expect(new Set(read.flatMap((blocks) => [...blocks]))).toEqual(new Set(definition.layers.map(blockOf)));
  });
});

/** A block by the part of the name that numbers it: `encoder.block.3` of `encoder.block.3.layer.0.SelfAttention.q`. */
const blockOf = ({ name }: { readonly name: string }) => /^\D*\d+/.exec(name)![0];

/** Of each program, the blocks whose matrices it reads. */
function blocksRead({ layers }: ModelDefinition, { frozen, live }: BlockComputation): Set<string>[] {
  const blocks = new Map(layers.map((layer) => [`${layer.name}.weight`, blockOf(layer)]));
  return [...frozen.programs, ...live.programs].map(
    ({ parameters }) => new Set(parameters.flatMap(({ attributes }) => blocks.get(attributes.name) ?? [])),
  );
}
