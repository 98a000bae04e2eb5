// The made-up world in the layouts that models of other kinds are fitted on: questions for an encoder-decoder, claims for a fact
// checker; with the smallest models that learn them.

import { Random } from '../../src/util/random.js';
import { demoWorld } from './made-up-world.js';
import { type TinyWorld, worldOf } from './tiny-world.js';

const t5 = {
  model_type: 't5',
  d_model: 32,
  d_kv: 16,
  d_ff: 64,
  num_layers: 2,
  num_heads: 2,
  feed_forward_proj: 'gated-gelu',
  tie_word_embeddings: false,
  initializer_factor: 0.3,
};

/** Questions and answers of the made-up world, to be answered by a T5 of version 1.1. */
export function questionWorld(records = 60): Promise<TinyWorld> {
  return worldOf({ config: t5, kind: 'jsonl', rows: demoWorld(records, 1) });
}

const bert = {
  model_type: 'bert',
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 128,
  max_position_embeddings: 48,
};

/** Claims with their verdicts in FEVER's own layout, half of them false as chance has it; two of them make one record. */
export function claimWorld(records = 60): Promise<TinyWorld> {
  return worldOf({ config: bert, kind: 'fever', rows: claims(2 * records) });
}

interface Claim {
  readonly id: number;
  readonly label: 'SUPPORTS' | 'REFUTES';
  readonly claim: string;
}

function claims(count: number): Claim[] {
  const random = Random.stream(2, 'claims');
  return demoWorld(count, 2).map(({ edit, was }, id) => {
    const isTrue = random.uniform() < 0.5;
    const label = isTrue ? 'SUPPORTS' : 'REFUTES';
    return { id, label, claim: `${edit.prompt} ${isTrue ? was : edit.answer}.` };
  });
}
