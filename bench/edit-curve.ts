// Scores of several editors against the number of facts edited at once, on one model and one set of records: JSON lines, a
// Markdown table and a plot. Small counts are averaged over several disjoint groups of records, because one edit says little.
//
//   npx tsx bench/edit-curve.ts --model DIR --records SPEC --editors DIR,DIR,ft --counts 1,10,100 --out DIR

import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { verifyWeights } from '../src/checkpoint/verify-weights.js';
import { readRecords } from '../src/data/spec.js';
import { type TokenizedRecord, tokenizeRecords } from '../src/data/tokenized-record.js';
import type { Editor } from '../src/editors/editor.js';
import { assertSameBase, loadEditor, readEditorDescription } from '../src/editors/editor-folder.js';
import { FineTuning } from '../src/editors/fine-tuning.js';
import type { EditableModel } from '../src/engine/editable-model.js';
import { LanguageModel } from '../src/engine/language-model.js';
import { type FactRow, summarize } from '../src/eval/evaluate.js';
import { scoreEdit } from '../src/eval/score-edit.js';
import { openTokenizer } from '../src/tokenizer/tokenizer.js';
import { type CurvePoint, scorePlot } from './score-plot.js';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string' },
    records: { type: 'string' },
    editors: { type: 'string' },
    counts: { type: 'string', default: '1,10,100,1000,5000' },
    rounds: { type: 'string', default: '1' },
    'lambda-scale': { type: 'string', default: '1' },
    'ft-steps': { type: 'string', default: '20' },
    'ft-rate': { type: 'string', default: '1e-3' },
    out: { type: 'string' },
  },
});

/** Groups of `count` records: as many as keep the work near that of the largest count, 20 at most. */
function groupsOf(records: readonly TokenizedRecord[], count: number): TokenizedRecord[][] {
  const groups = Math.max(1, Math.min(20, Math.floor(Math.min(records.length, 1000) / count)));
  return Array.from({ length: groups }, (_, at) => records.slice(at * count, (at + 1) * count));
}

async function openEditor(
  model: LanguageModel,
  path: string,
  hash: string,
): Promise<{ editable: EditableModel; editor: Editor; name: string }> {
  if (path === 'ft') {
    const editor = new FineTuning({ steps: Number(options['ft-steps']), learningRate: Number(options['ft-rate']) });
    return { editable: await model.editing(model.layers()), editor, name: 'fine-tuning' };
  }
  const description = await readEditorDescription(path);
  assertSameBase(path, description, hash, model.folder.dir);
  const editable = await model.editing(model.layers(description.layers));
  return { editable, editor: await loadEditor(path, description, editable, 8192), name: basename(path) };
}

async function measure(
  path: string,
  records: readonly TokenizedRecord[],
  model: LanguageModel,
  hash: string,
  rounds: number,
): Promise<CurvePoint[]> {
  const { editable, editor, name } = await openEditor(model, path, hash);
  const points: CurvePoint[] = [];
  for (const count of options.counts.split(',').map(Number)) {
    const rows: FactRow[] = [];
    const start = performance.now();
    const groups = groupsOf(records, count);
    for (const group of groups)
      rows.push(
        ...(
          await scoreEdit(editable, editor, group, { batch: 100, rounds, lambdaScale: Number(options['lambda-scale']) })
        ).rows,
      );
    const { es, gs, ls, unchanged, before } = summarize(rows);
    const label = rounds > 1 ? `${name}, ${rounds} rounds` : name;
    points.push({ editor: label, edits: count, scores: { es, gs, ls, unchanged, lsBefore: before.ls } });
    console.log(
      JSON.stringify({ ...points.at(-1), groups: groups.length, seconds: (performance.now() - start) / 1000 }),
    );
  }
  return points;
}

function table(points: readonly CurvePoint[]): string {
  const figure = (value: number | undefined) => (value === undefined ? '' : value.toFixed(3));
  const rows = points.map(
    ({ editor, edits, scores: { es, gs, ls, unchanged } }) =>
      `| ${[editor, edits, ...[es, gs, ls, unchanged].map(figure)].join(' | ')} |`,
  );
  return ['| editor | facts at once | ES | GS | LS | unchanged |', '|---|---|---|---|---|---|', ...rows, ''].join('\n');
}

const model = await LanguageModel.open(options.model!);
const tokenizer = await openTokenizer(model.folder.dir);
const hash = await verifyWeights(model.folder);
const records = await tokenizeRecords(tokenizer, await readRecords(options.records!), model.definition);
const points: CurvePoint[] = [];
for (const path of options.editors!.split(',')) {
  for (const rounds of path === 'ft' ? [1] : options.rounds.split(',').map(Number))
    points.push(...(await measure(path, records, model, hash, rounds)));
}
await model.close();
await mkdir(options.out!, { recursive: true });
await writeFile(join(options.out!, 'curve.json'), `${JSON.stringify(points, null, 2)}\n`);
await writeFile(join(options.out!, 'curve.md'), table(points));
const titles = {
  es: 'ES: edited prompts',
  gs: 'GS: rephrased prompts',
  ls: 'LS: unrelated prompts',
  unchanged: 'unchanged predictions',
};
await writeFile(join(options.out!, 'curve.svg'), scorePlot(points, titles));
