// Qwen2: Llama with biases on queries, keys and values, its own defaults, and a window of attention in some blocks.

import { z } from 'zod';
import { count, parseConfig } from './config.js';
import { llamaFamily, llamaSchema } from './llama.js';
import type { ModelDefinition } from './model.js';

const schema = llamaSchema({
  vocab_size: 151_936,
  intermediate_size: 22_016,
  num_key_value_heads: 32,
  max_position_embeddings: 32_768,
}).extend({
  use_sliding_window: z.boolean().default(false),
  sliding_window: count.nullable().default(4096),
  /** The window is that of the blocks from this one on, unless `layer_types` says it block by block. */
  max_window_layers: z.int().nonnegative().default(28),
  layer_types: z.array(z.string()).nullish(),
});

/** Inputs longer than the window, where a block has one, are not read: up to there it changes nothing. */
export function qwen2(json: Readonly<Record<string, unknown>>): ModelDefinition {
  const config = parseConfig('qwen2', schema, json);
  return llamaFamily(config, {
    modelType: 'qwen2',
    queryKeyValueBias: true,
    outputBias: false,
    mlpBias: false,
    window: hasWindow(config) ? config.sliding_window : null,
  });
}

function hasWindow({ use_sliding_window, layer_types, max_window_layers, num_hidden_layers }: z.infer<typeof schema>) {
  return use_sliding_window && (layer_types?.includes('sliding_attention') ?? max_window_layers < num_hidden_layers);
}
