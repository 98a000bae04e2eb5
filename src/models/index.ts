// The architectures, by the `model_type` of config.json. Adding one is one file and one line here.

import { MalmenError } from '../errors.js';
import { bert } from './bert.js';
import { gptNeox } from './gpt_neox.js';
import { gpt2 } from './gpt2.js';
import { gptj } from './gptj.js';
import { llama } from './llama.js';
import { mistral } from './mistral.js';
import type { Architecture, ModelDefinition } from './model.js';
import { qwen2 } from './qwen2.js';
import { t5 } from './t5.js';

export const architectures: Readonly<Record<string, Architecture>> = {
  bert,
  gpt2,
  gpt_neox: gptNeox,
  gptj,
  llama,
  mistral,
  qwen2,
  t5,
};

/** @throws MalmenError for a model type that is not there, or a configuration that is wrong. */
export function defineModel(config: Readonly<Record<string, unknown>>): ModelDefinition {
  const type = String(config.model_type);
  const architecture = Object.hasOwn(architectures, type) ? architectures[type] : undefined;
  if (architecture) return architecture(config);
  const known = Object.keys(architectures).join(', ');
  throw new MalmenError('unsupported', `config.json: model_type '${type}' is not supported (supported: ${known})`);
}
