// Opens a file of weights by what it holds, safetensors or torch.save, whatever it is called. Knows no model.

import { extname } from 'node:path';
import { withFile } from './read-file.js';
import { readSafetensorsHeader } from './safetensors.js';
import { firstBytes, looksLikeTorch } from './torch/torch-file.js';
import { readTorchWeights } from './torch/torch-weights.js';
import type { WeightFile } from './weight-file.js';

/** Names under which torch.save files go: their messages are those of that format, even when they are something else. */
const torchExtensions: ReadonlySet<string> = new Set(['.bin', '.pt', '.pth', '.ckpt']);

/** Reads names, shapes and places; no weight. @throws MalmenError that names the file and what is wrong with it */
export async function openWeightFile(file: string): Promise<WeightFile> {
  if (torchExtensions.has(extname(file))) return readTorchWeights(file);
  const isTorch = extname(file) !== '.safetensors' && looksLikeTorch(await withFile(file, firstBytes));
  return isTorch ? readTorchWeights(file) : readSafetensorsHeader(file);
}
