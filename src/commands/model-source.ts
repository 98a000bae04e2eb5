// The model that a user named: a folder here, or a model of the hub, which is downloaded when it is not in the cache.
// A folder always wins over a name of the hub.

import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { downloadModel } from '../checkpoint/hub/download-model.js';
import { type HubId, parseHubId } from '../checkpoint/hub/hub-id.js';
import { hubSettings } from '../checkpoint/hub/hub-settings.js';
import { MalmenError } from '../errors.js';
import type { CommandContext } from './events.js';

export interface ModelSource {
  readonly dir: string;
  /** For people: the absolute path, or the hub's name and the commit. */
  readonly name: string;
}

/** @throws MalmenError when there is neither such a folder nor such a model on the hub */
export async function findModel(model: string, context: CommandContext): Promise<ModelSource> {
  if (await stat(model).catch(() => undefined)) return { dir: model, name: resolve(model) };
  const id = parseHubId(model);
  if (id) return findOnHub(model, id, context);
  throw new MalmenError(
    'not-found',
    `${model}: no such folder; expected a Hugging Face model folder, or a model of the hub such as gpt2 or EleutherAI/gpt-j-6b@REVISION`,
  );
}

async function findOnHub(model: string, id: HubId, { emit, signal }: CommandContext): Promise<ModelSource> {
  const mega = 1e6;
  const onProgress = (done: number, total: number) =>
    emit({ kind: 'progress', stage: `download ${id.id}`, done: done / mega, total: total / mega, unit: 'MB' });
  const onWarning = (text: string) => emit({ kind: 'warning', text });
  const options = { settings: await hubSettings(), signal, onProgress, onWarning };
  const { dir, commit } = await downloadModel(id, options).catch((error) => {
    throw withoutFolder(model, error);
  });
  return { dir, name: `${id.id}@${commit}` };
}

/** Most names that the hub does not know were meant as paths. */
function withoutFolder(model: string, error: unknown): unknown {
  if (!(error instanceof MalmenError) || error.code === 'interrupted' || error.code === 'no-space') return error;
  return new MalmenError(error.code, `there is no folder '${model}' here, and on the hub: ${error.message}`, {
    cause: error,
  });
}
