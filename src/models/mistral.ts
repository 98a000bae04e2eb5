// Mistral: Llama with its own defaults, and attention that looks back a window of tokens.

import { count, parseConfig } from './config.js';
import { llamaFamily, llamaSchema } from './llama.js';
import type { ModelDefinition } from './model.js';

const schema = llamaSchema({
  vocab_size: 32_000,
  intermediate_size: 14_336,
  num_key_value_heads: 8,
  max_position_embeddings: 131_072,
}).extend({
  /** Tokens that attention looks back at; null: all. */
  sliding_window: count.nullable().default(4096),
});

/** Inputs longer than the window are not read: up to there the window changes nothing. */
export function mistral(json: Readonly<Record<string, unknown>>): ModelDefinition {
  const config = parseConfig('mistral', schema, json);
  return llamaFamily(config, {
    modelType: 'mistral',
    queryKeyValueBias: false,
    outputBias: false,
    mlpBias: false,
    window: config.sliding_window,
  });
}
