// `malmen convert`: an editor that the published code trained, as an editor of this program. Its training can be continued with
// `malmen train --from`.

import { editorFormat, metaMethod, saveEditor } from '../editors/editor-folder.js';
import { HyperEditor } from '../editors/hyper-editor.js';
import {
  type PublishedEditor,
  type PublishedOptimizer,
  readPublishedEditor,
  readPublishedOptimizer,
} from '../editors/published-editor.js';
import { ResidentNetwork } from '../editors/resident-network.js';
import type { EditableModel } from '../engine/editable-model.js';
import type { LayerGroup } from '../engine/layer-group.js';
import { MalmenError } from '../errors.js';
import type { TensorOf } from '../tensor.js';
import { type StateToSave, saveRunState } from '../train/run-folder.js';
import { writeFolderAtomic } from '../util/atomic-file.js';
import type { CommandContext } from './events.js';
import type { ConvertOptions } from './options.js';
import { withModel } from './subject.js';
import { momentsToSave } from './training-state.js';

/** What became of a published editor. */
export interface ConvertResult {
  readonly out: string;
  readonly editor: string;
  readonly layers: readonly string[];
  readonly rank: number;
  readonly blocks: number;
  /** Training steps done; 0 where no optimizer was given. */
  readonly steps: number;
}

/** Rows that go through a network at once while nothing is computed: none. */
const rowLimit = 1;

/** Makes an editor folder of what the published code saved. */
export async function convert(options: ConvertOptions, context: CommandContext): Promise<ConvertResult> {
  const published = await readPublishedEditor(options.net);
  const optimizer =
    options.optimizer === undefined ? undefined : await readPublishedOptimizer(options.optimizer, published);
  return withModel(options, context, async ({ model, name, verify }) => {
    const hash = await verify();
    const editable = await model.editing(model.layers(options.layers));
    const order = matchGroups(published, editable);
    const method = metaMethod(options.editor, false);
    const networks: ResidentNetwork[] = [];
    for (const at of order) {
      const { shape, tensors, moments } = published.networks[at]!;
      networks.push(
        await ResidentNetwork.open(editable.runtime, method, copied(tensors), { shape, moments: [moments], rowLimit }),
      );
    }
    const tokens = options.tokens ?? (options.editor === 'mend' ? 'all' : 'answers');
    const { rank, blocks } = published.networks[0]!.shape;
    const layers = editable.layers.map((layer) => layer.name);
    const result = { out: options.out, editor: options.editor, layers, rank, blocks, steps: optimizer?.step ?? 0 };
    await writeFolderAtomic(options.out, options.force, async (folder) => {
      const base = { hash, modelType: model.definition.modelType, path: name };
      const training = { from: 'the published code', net: options.net, optimizer: options.optimizer ?? null };
      await saveEditor(
        folder,
        {
          format: editorFormat,
          method: options.editor,
          base,
          layers,
          tokens,
          rank,
          blocks,
          steps: result.steps,
          rounds: 1,
          lambdaScale: 1,
          damped: false,
          statistics: 'shared',
          ends: false,
          preserves: false,
          training,
        },
        editable,
        new HyperEditor(method, tokens, networks),
      );
      await saveRunState(folder, trainingState(published, optimizer, order));
    });
    context.emit({
      kind: 'note',
      text: `saved ${options.out}: ${options.editor} editor of ${layers.length} layers, rank ${rank}, ${result.steps} steps`,
    });
    return result;
  });
}

/** Uploading takes the memory of what it is given. */
const copied = (tensors: PublishedEditor['networks'][number]['tensors']) =>
  new Map([...tensors].map(([name, tensor]) => [name, { ...tensor, data: tensor.data.slice() }]));

/** For each group of layers, the published network of its shape. @throws MalmenError when they are not one to one */
function matchGroups({ path, networks }: PublishedEditor, { groups }: EditableModel): number[] {
  const order = groups.map(({ keySize, valueSize }) =>
    networks.findIndex(({ shape }) => shape.keySize === keySize && shape.valueSize === valueSize),
  );
  const fits =
    groups.length === networks.length &&
    groups.every((group, at) => networks[order[at]!]?.shape.layers === group.layers.length);
  const { rank, blocks } = networks[0]!.shape;
  const isOne = networks.every(({ shape }) => shape.rank === rank && shape.blocks === blocks);
  if (fits && isOne) return order;
  const held = networks.map(({ shape }) => `${shape.layers} of (${shape.keySize}, ${shape.valueSize})`).join(', ');
  const wanted = groups.map(groupText).join(', ');
  throw new MalmenError(
    'mismatch',
    `${path}: holds networks for layers ${held}; the layers given are ${wanted}; pass --layers in the order of the published configuration's edit_modules`,
  );
}

const groupText = ({ keySize, valueSize, layers }: LayerGroup) => `${layers.length} of (${keySize}, ${valueSize})`;

/** As a training of this program would have left it. */
function trainingState(
  { networks }: PublishedEditor,
  optimizer: PublishedOptimizer | undefined,
  order: readonly number[],
): StateToSave {
  const tensors = new Map<string, TensorOf<'f32'>>();
  const doubles = new Map<string, Float64Array>();
  for (const [at, source] of order.entries()) {
    const { tensors: parameters, moments } = networks[source]!;
    for (const [name, tensor] of parameters) {
      tensors.set(`network.${at}.${name}`, tensor);
      const averages = optimizer?.averages.get(`${source}.${name}`);
      if (averages === undefined) continue;
      tensors.set(`adam.first.${at}.${name}`, averages.first);
      tensors.set(`adam.second.${at}.${name}`, averages.second);
    }
    for (const [name, values] of momentsToSave(at, [moments])) doubles.set(name, values);
  }
  return { step: optimizer?.step ?? 0, tensors, doubles };
}
