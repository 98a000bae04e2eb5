// Scores of several editors against the number of facts edited at once, on one model and one set of records: JSON lines, a
// Markdown table and a plot. Small counts are averaged over several disjoint groups of records, because one edit says little.
//
//   npx tsx bench/edit-curve.ts --model DIR --records SPEC --editors DIR,DIR,ft --counts 1,10,100 --out DIR

import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { verifyWeights } from '../src/checkpoint/verify-weights.js';
import { answersEnd, endedWhere } from '../src/commands/answer-ends.js';
import { keptInRound, keptPrompts } from '../src/commands/kept-prompts.js';
import { answeredByModel } from '../src/commands/made-up-subjects.js';
import { withBorrowedWordings } from '../src/commands/more-wordings.js';
import type { EditRecord } from '../src/data/record.js';
import { readRecords } from '../src/data/spec.js';
import { type TokenizedRecord, tokenizeRecords } from '../src/data/tokenized-record.js';
import type { Editor } from '../src/editors/editor.js';
import { assertSameBase, loadEditor, readEditorDescription } from '../src/editors/editor-folder.js';
import { FineTuning } from '../src/editors/fine-tuning.js';
import { HyperEditor } from '../src/editors/hyper-editor.js';
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
    // Default: as the editor was trained.
    rounds: { type: 'string' },
    'lambda-scale': { type: 'string' },
    // Facts that must stay, as of `malmen edit`: so many prompts of them a round for each fact to edit, and for 100 at least.
    keep: { type: 'string' },
    'keep-share': { type: 'string', default: '1' },
    // Prompts about made-up subjects among them.
    'made-up': { type: 'string', default: '0' },
    // Rephrasings of each fact that the edit learns from; they are then not scored, whatever the editor.
    wordings: { type: 'string', default: '0' },
    // Rephrasings of each fact that are neither told nor scored.
    unscored: { type: 'string', default: '0' },
    // As of `malmen edit`.
    'borrow-wordings': { type: 'string', default: '0' },
    hold: { type: 'string' },
    // Name of what comes out, instead of the editor's folder.
    name: { type: 'string' },
    // Layers of fine-tuning.
    layers: { type: 'string' },
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

interface OpenEditor {
  readonly editable: EditableModel;
  readonly editor: Editor;
  readonly name: string;
  readonly rounds: number;
  readonly lambdaScale: number;
  /** Whether the ends of answers are edited with them. */
  readonly ends: boolean;
}

async function openEditor(model: LanguageModel, path: string, hash: string): Promise<OpenEditor> {
  if (path === 'ft') {
    const editor = new FineTuning({ steps: Number(options['ft-steps']), learningRate: Number(options['ft-rate']) });
    const layers = options.layers?.split(',');
    return {
      editable: await model.editing(model.layers(layers)),
      editor,
      name: options.name ?? 'fine-tuning',
      rounds: 1,
      lambdaScale: 1,
      ends: answersEnd(subject, undefined),
    };
  }
  const description = await readEditorDescription(path);
  assertSameBase(path, description, hash, model.folder.dir);
  const editable = await model.editing(model.layers(description.layers));
  const rounds = Number(options.rounds ?? description.rounds);
  const lambdaScale = Number(options['lambda-scale'] ?? description.lambdaScale);
  const editor = await loadEditor(path, description, editable, 8192);
  const { ends } = description;
  return { editable, editor, name: options.name ?? basename(path), rounds, lambdaScale, ends };
}

/** The facts of `--keep` for each round of an edit, where its editor can keep facts. */
async function keptBeside(group: readonly TokenizedRecord[], { editable, editor, ends }: OpenEditor) {
  if (options.keep === undefined || !(editor instanceof HyperEditor && editor.method.damped)) return {};
  const keeping = {
    keep: options.keep,
    facts,
    keepWordings: true,
    keepMadeUp: Number(options['made-up']),
    seed: 0,
    batch: 100,
    ends,
  };
  const { known, madeUp } = await keptPrompts(subject, group, keeping);
  const quiet = { emit: () => {}, signal: new AbortController().signal };
  const pairs = [...known, ...(await answeredByModel(subject, editable, madeUp, keeping, quiet))];
  const keepPrompts = Number(options['keep-share']) * Math.max(100, group.length);
  return { kept: keptInRound(subject, pairs, { ...keeping, keepPrompts }) };
}

/** The first rephrasings as wordings that the edit learns from, the next ones left out; one at least is scored. */
function withWordings(record: EditRecord): EditRecord {
  const told = Math.min(Number(options.wordings), record.rephrasings.length - 1);
  const unscored = Math.min(told + Number(options.unscored), record.rephrasings.length - 1);
  const wordings = record.rephrasings.slice(0, Math.max(0, told)).map(({ prompt }) => prompt);
  const rephrasings = record.rephrasings.slice(Math.max(0, unscored));
  return { ...record, ...(wordings.length > 0 ? { wordings } : {}), rephrasings };
}

async function measure(
  path: string,
  records: readonly TokenizedRecord[],
  model: LanguageModel,
  hash: string,
): Promise<CurvePoint[]> {
  const opened = await openEditor(model, path, hash);
  const { editable, editor, name, rounds, lambdaScale, ends } = opened;
  const held = options.hold === undefined ? {} : { hold: Number(options.hold) };
  const points: CurvePoint[] = [];
  for (const count of options.counts.split(',').map(Number)) {
    const rows: FactRow[] = [];
    const start = performance.now();
    const groups = groupsOf(records, count);
    for (const group of groups) {
      const told = endedWhere(subject, group, ends);
      const kept = await keptBeside(told, opened);
      rows.push(
        ...(await scoreEdit(editable, editor, group, { batch: 100, rounds, lambdaScale, told, ...kept, ...held })).rows,
      );
    }
    const { es, gs, ls, unchanged, before } = summarize(rows);
    points.push({ editor: name, edits: count, scores: { es, gs, ls, unchanged, lsBefore: before.ls } });
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
const subject = { model, tokenizer, hash, name: model.folder.dir };
const facts = options.keep === undefined ? [] : await readRecords(options.keep);
const given = (await readRecords(options.records!)).map(withWordings);
const told = await withBorrowedWordings(subject, given, facts, {
  keep: options.keep,
  borrowWordings: Number(options['borrow-wordings']),
  seed: 0,
});
const records = await tokenizeRecords(tokenizer, told, model.definition);
const points: CurvePoint[] = [];
for (const path of options.editors!.split(',')) points.push(...(await measure(path, records, model, hash)));
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
