// The published code's own files of an editor, converted: equal to what it stored of itself, number by number; the shift that the
// converted editor computes; and a training that goes on from there.

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readSafetensorsHeader } from '../../src/checkpoint/safetensors.js';
import { convert } from '../../src/commands/convert.js';
import { convertOptions } from '../../src/commands/options.js';
import { loadEditor, readEditorDescription } from '../../src/editors/editor-folder.js';
import { readPublishedEditor, readPublishedOptimizer } from '../../src/editors/published-editor.js';
import { sumRows } from '../../src/engine/row-counts.js';
import { temporaryPaths } from '../checkpoint/temporary-folder.js';
import { archiveOf, floats as rawFloats } from '../checkpoint/torch/torch-writer.js';
import { editingRuns } from './golden-folder.js';
import { comparison } from './limits.js';
import { floats, networkPrefix, openRun } from './stored-editor.js';
import { publishedCapture } from './stored-rows.js';
import { StoredTensors } from './stored-tensors.js';

const newPath = temporaryPaths();

// The run whose files the golden folder keeps.
const stored = editingRuns().find(({ folder, label }) => {
  return label === 'malmen_random' && existsSync(join(folder, 'official_net.pth'));
});
const context = { emit: () => undefined, signal: new AbortController().signal };

function files() {
  const net = join(stored!.folder, 'official_net.pth');
  return { net, optimizer: join(stored!.folder, 'official_opt.pth') };
}

async function converted(extra: object = {}): Promise<string> {
  const out = newPath('editor');
  const { folder } = stored!.model;
  const layers = stored!.description.edit_modules;
  await convert(convertOptions.parse({ model: folder, ...files(), layers, out, ...extra }), context);
  return out;
}

describe.skipIf(!stored)('official_net.pth and official_opt.pth', () => {
  const golden = () => StoredTensors.open(join(stored!.folder, 'malmen_random.safetensors'));

  test('networks are those after the last step, statistics those after validation', async () => {
    const run = await golden();
    const { networks } = await readPublishedEditor(files().net);
    expect(networks.length).toBe(1);
    for (const { shape, tensors, moments } of networks) {
      const prefix = networkPrefix(shape);
      const last = `step${stored!.description.steps.length - 1}.state.${prefix}`;
      const names = run.names.filter((name) => name.startsWith(last) && !name.includes('normalizer'));
      expect([...tensors.keys()].sort()).toEqual(names.map((name) => name.slice(last.length)).sort());
      for (const [name, { data }] of tensors) expect([...data], name).toEqual([...run.numbers(last + name)]);
      const after = `valid.norm.${prefix}`;
      const deviation = [...moments.deviation()];
      run.numbers(`${after}std`).forEach((value, at) => {
        expect(Math.abs(deviation[at]! - value)).toBeLessThanOrEqual(2e-6 * value);
      });
      expect([...moments.mean]).toEqual([...run.numbers(`${after}mean`)]);
    }
  });

  test('the optimizer is that after the last step', async () => {
    const run = await golden();
    const editor = await readPublishedEditor(files().net);
    const { step, averages } = await readPublishedOptimizer(files().optimizer, editor);
    expect(step).toBe(stored!.description.steps.length);
    expect(averages.size).toBeGreaterThan(5);
    const prefix = networkPrefix(editor.networks[0]!.shape);
    for (const [full, { first, second }] of averages) {
      const name = full.replace(/^0\./, prefix);
      expect([...first.data], full).toEqual([...run.numbers(`opt.exp_avg.${name}`)]);
      expect([...second.data], full).toEqual([...run.numbers(`opt.exp_avg_sq.${name}`)]);
    }
  });

  test('the converted editor computes the published shift', async () => {
    const out = await converted();
    const description = await readEditorDescription(out);
    expect(description).toMatchObject({ method: 'malmen', rank: 12, blocks: 2, steps: 3, tokens: 'answers' });
    const run = await openRun(stored!);
    const editor = await loadEditor(out, description, run.editable, 1000);
    const compare = comparison(stored!);
    const chunks = await publishedCapture(run, editor, 'valid.edit');
    const rows = sumRows(chunks.map((chunk) => chunk.rows));
    const solved = await editor.solve(run.editable, chunks, rows);
    expect(solved.shift.size).toBe(2);
    for (const [layer, shift] of solved.shift) {
      const name = `valid.param_shift.${layer}`;
      compare(name, await floats(run.editable, shift), run.file.numbers(name));
    }
    await run.language.close();
  });

  test('its training state is one that train --from goes on from', async () => {
    const out = await converted();
    const { metadata, tensors } = await readSafetensorsHeader(join(out, 'training.safetensors'));
    expect(metadata.step).toBe('3');
    for (const name of ['network.0.blocks.0.A', 'adam.first.0.blocks.0.A', 'adam.second.0.lr.weight']) {
      expect(tensors.has(name), name).toBe(true);
    }
    expect(tensors.get('moments.0.0.mean')!.dtype).toBe('f64');
  });

  describe('is refused', () => {
    test('for other layers', async () => {
      const wrong = converted({ layers: ['transformer.h.3.mlp.c_proj'] });
      await expect(wrong).rejects.toThrow(
        /holds networks for layers 2 of \(192, 48\); the layers given are 1 of \(192, 48\)/,
      );
      const other = converted({ layers: ['transformer.h.2.mlp.c_fc', 'transformer.h.3.mlp.c_fc'] });
      await expect(other).rejects.toThrow(/the layers given are 2 of \(48, 192\)/);
    });

    test('with another optimizer, or none', async () => {
      await expect(converted({ optimizer: files().net })).rejects.toThrow(/not the state of an optimizer/);
      await expect(converted({ net: files().optimizer })).rejects.toThrow(
        /more than weights \('state' holds a dictionary\)/,
      );
    });
  });
});

describe('a file of tensors that is no editor', () => {
  const netOf = (names: readonly string[]) => {
    const path = newPath('net.pth');
    const tensors = Object.fromEntries(names.map((name) => [name, { storage: '0', shape: [2], strides: [1] }]));
    writeFileSync(path, archiveOf({ storages: { '0': rawFloats(1, 2) }, tensors }));
    return path;
  };

  test.each([
    [['transformer.wte.weight'], /tensor 'transformer\.wte\.weight' is none of a published editor/],
    [['(4, 2).lr.weight'], /tensor '\(4, 2\)\.blocks\.0\.A' is missing/],
  ])('%j', async (names, message) => {
    await expect(readPublishedEditor(netOf(names))).rejects.toThrow(message);
  });
});
