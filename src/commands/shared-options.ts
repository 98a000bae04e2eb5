// Options that several commands take, in the same words.

import { z } from 'zod';
import { devices } from '../engine/runtime.js';
import { byteSizePattern } from '../util/byte-size.js';

export const count = () => z.int().positive();
export const path = () => z.string().min(1);

export const common = {
  seed: z.int().nonnegative().default(0).describe('seed of everything that is drawn'),
  device: z.enum(devices).default('cpu').describe('where to compute'),
  threads: count().optional().describe('threads of one operation (default: the physical cores)'),
};

export const memory = z
  .string()
  .regex(byteSizePattern, 'a size such as 6GB or 512MiB is expected')
  .optional()
  .describe(
    'keep within this much memory, 6GB for instance: mapped weights are page cache and do not count (default: no limit)',
  );

export const subject = {
  model: path().describe('Hugging Face folder of the language model, or its name on the hub: OWNER/NAME@REVISION'),
  weights: path()
    .optional()
    .describe(
      'file of weights instead of the folder’s own: safetensors or torch.save, also with a prefix like backbone.',
    ),
};

export const output = {
  out: path().describe('output folder'),
  force: z.boolean().default(false).describe('replace an output folder that is not empty'),
};

export const layers = z.array(z.string().min(1)).min(1).optional();
export const spec =
  'a .csv, .tsv or .jsonl file, or KIND:PATH with KIND one of csv, jsonl, zsre, counterfact, fever, pararel, atlas, atlas-held-out; #SLICE after it (a:b, :b, a: or n) takes a part';
