// Every training step of every editing run in the golden folder, each from the stored state before it: losses, shifts, weight
// gradients, the networks' outputs and gradients.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { HyperEditor } from '../../src/editors/hyper-editor.js';
import type { MetaMethod } from '../../src/editors/meta-method.js';
import type { LayerTensors } from '../../src/engine/editable-model.js';
import { metaStep } from '../../src/train/meta-step.js';
import { editingRuns } from './golden-folder.js';
import { type Comparison, comparison } from './limits.js';
import { storedBatches } from './stored-batches.js';
import {
  floats,
  methodOf,
  networkPrefix,
  type OpenRun,
  openRun,
  stateBefore,
  storedDeviation,
  storedEditor,
} from './stored-editor.js';
import { layerRows, publishedCapture } from './stored-rows.js';
import { StoredTensors } from './stored-tensors.js';
import { testable } from './testable.js';

for (const stored of testable(editingRuns(), 'editing runs')) {
  const file = await StoredTensors.open(join(stored.folder, `${stored.label}.safetensors`));
  const steps = stored.description.steps.map((_, step) => step);
  const withOutputs = steps.filter((step) => file.names.some((name) => name.startsWith(`step${step}.pseudo_keys.`)));
  const cache = join(stored.folder, `cache_step0_${stored.description.token}.safetensors`);

  describe(`${stored.model.name} ${stored.label}`, () => {
    let run: OpenRun;
    const compare = comparison(stored);
    beforeAll(async () => {
      run = await openRun(stored);
    });
    afterAll(() => run.language.close());

    it.each(steps)('step %i', async (step) => {
      const editor = await editorBefore(run, step);
      await expectStep(run, editor, step, compare);
      editor.close(run.editable.runtime);
    });

    it.each(withOutputs)('outputs of the networks in step %i', async (step) => {
      await expectNetworkOutputs(run, step, compare);
    });

    it.runIf(existsSync(cache))('rows that the first step captures', async () => {
      await expectCapturedRows(run, await StoredTensors.open(cache), compare);
    });
  });
}

/** With the statistics that the step itself used: they are updated before the networks run. */
function editorBefore(run: OpenRun, step: number, method: MetaMethod = methodOf(run)): Promise<HyperEditor> {
  return storedEditor(run, {
    parameters: stateBefore(step),
    moments: (group) => storedDeviation(run.file, `step${step}.state.${networkPrefix(group)}normalizer.`),
    method,
  });
}

async function expectStep(run: OpenRun, editor: HyperEditor, step: number, compare: Comparison): Promise<void> {
  const { editable, file, tuples } = run;
  const at = `step${step}`;
  const batches = {
    edits: storedBatches(tuples, `${at}.edit`),
    rephrasings: storedBatches(tuples, `${at}.equiv`),
    unrelated: storedBatches(tuples, `${at}.${run.description.mean_kl ? 'unrel4' : 'unrel'}`),
  };
  const compareLayers = (item: string) => async (layers: LayerTensors) => {
    for (const [layer, tensor] of layers) {
      const name = `${at}.${item}.${layer}`;
      compare(name, await floats(editable, tensor), file.numbers(name));
    }
  };
  const { loc_coef: localityWeight } = run.description.config;
  const result = await metaStep(
    editable,
    editor,
    batches,
    { localityWeight, reduction: 'published', freezeMoments: true },
    { solved: compareLayers('param_shift'), weightGradients: compareLayers('module_grad') },
  );
  compare(`${at}.edit_losses`, result.editLosses, file.numbers(`${at}.edit_losses`));
  compare(`${at}.gen_losses`, result.generalisationLosses, file.numbers(`${at}.gen_losses`));
  compare(`${at}.loc_losses`, result.localityLosses, file.numbers(`${at}.loc_losses`));
  compare(`${at}.total_norm`, [result.gradientNorm], file.numbers(`${at}.total_norm`));
  await expectNetworkGradients(run, result.gradients, at, compare);
}

/** Every stored gradient has one of ours; one of ours that is not stored belongs to a parameter that does not learn. */
async function expectNetworkGradients(
  { editable, file }: OpenRun,
  gradients: readonly LayerTensors[],
  at: string,
  compare: Comparison,
): Promise<void> {
  for (const [index, group] of editable.groups.entries()) {
    const start = `${at}.grad.${networkPrefix(group)}`;
    for (const name of file.names.filter((candidate) => candidate.startsWith(start))) {
      const own = gradients[index]!.get(name.slice(start.length));
      compare(name, own ? await floats(editable, own) : [], file.numbers(name));
    }
    editable.runtime.release(...gradients[index]!.values());
  }
}

async function expectCapturedRows(run: OpenRun, cache: StoredTensors, compare: Comparison): Promise<void> {
  const editor = await editorBefore(run, 0);
  const chunks = await publishedCapture(run, editor, 'step0.edit');
  for (const [item, key] of [['keys', 'keys'] as const, ['values_grad', 'valueGradients'] as const]) {
    const rows = await layerRows(run.editable, (group) =>
      chunks.map(({ groups }) => [groups[group]![key], groups[group]!.counts]),
    );
    for (const [layer, values] of rows) compare(`${item}.${layer}`, values, cache.numbers(`${item}.${layer}`));
  }
  for (const chunk of chunks) editor.releaseChunk(run.editable, chunk);
  editor.close(run.editable.runtime);
}

/** The run's method with the network's own outputs in place of what the method makes of them. */
function exposed(method: MetaMethod): MetaMethod {
  return {
    ...method,
    rowOutputs: ({ pseudoKeys, pseudoGradients }) => ({ pseudo_keys: pseudoKeys, pseudo_values_grad: pseudoGradients }),
  };
}

async function expectNetworkOutputs(run: OpenRun, step: number, compare: Comparison): Promise<void> {
  const items = ['pseudo_keys', 'pseudo_values_grad'] as const;
  const start = `step${step}.`;
  const editor = await editorBefore(run, step, exposed(methodOf(run)));
  const chunks = await publishedCapture(run, editor, `${start}edit`);
  const outputs = await Promise.all(
    editor.networks.map((network, group) =>
      Promise.all(chunks.map(({ groups }) => network.rowOutputs(groups[group]!))),
    ),
  );
  for (const item of items) {
    const rows = await layerRows(run.editable, (group) =>
      outputs[group]!.map((output, at) => [output[item]!, chunks[at]!.groups[group]!.counts]),
    );
    for (const [layer, values] of rows) {
      compare(`${start}${item}.${layer}`, values, run.file.numbers(`${start}${item}.${layer}`));
    }
  }
  for (const output of outputs.flat()) run.editable.runtime.release(...Object.values(output));
  for (const chunk of chunks) editor.releaseChunk(run.editable, chunk);
  editor.close(run.editable.runtime);
}
