// Writes a checkpoint of a published shape with random weights in bfloat16, to measure with: the shape without the download.
// Usage: node scripts/random-checkpoint.mjs gpt2-small|gptj-6b|t5-xl|bert-base FOLDER [TOKENIZER.json]   (build first: npx tsc -b)

import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gpt2Small } from '../dist/commands/bench/bench-model.js';
import { writeRandomCheckpoint } from '../dist/commands/bench/random-checkpoint.js';

const shapes = {
  'gpt2-small': gpt2Small,
  'gptj-6b': {
    model_type: 'gptj',
    n_layer: 28,
    n_embd: 4096,
    n_head: 16,
    rotary_dim: 64,
    vocab_size: 50400,
    n_positions: 2048,
  },
  't5-xl': {
    model_type: 't5',
    d_model: 2048,
    d_kv: 64,
    d_ff: 5120,
    num_layers: 24,
    num_decoder_layers: 24,
    num_heads: 32,
    vocab_size: 32128,
    feed_forward_proj: 'gated-gelu',
    tie_word_embeddings: false,
    decoder_start_token_id: 0,
  },
  'bert-base': {
    model_type: 'bert',
    hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    intermediate_size: 3072,
    vocab_size: 28996,
    max_position_embeddings: 512,
    type_vocab_size: 2,
  },
};

const [shape, folder, tokenizer] = process.argv.slice(2);
const config = shapes[shape];
if (config === undefined || folder === undefined) {
  console.error(`usage: node scripts/random-checkpoint.mjs ${Object.keys(shapes).join('|')} FOLDER [TOKENIZER.json]`);
  process.exit(2);
}
await writeRandomCheckpoint(folder, config, { dtype: 'bf16', shardBytes: 4e9 });
if (tokenizer !== undefined) await copyFile(tokenizer, join(folder, 'tokenizer.json'));
console.log(`${folder}: ${shape}, random weights in bfloat16`);
