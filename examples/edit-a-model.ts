// Edits facts inside a language model from a program: reads a spreadsheet, edits with a trained editor, shows what changed and
// saves the edit. Run it with a model folder, the folder of an editor trained for it (`malmen train`) and a file of facts:
//
//     npx tsx examples/edit-a-model.ts MODEL EDITOR facts.csv shift.safetensors
//
// In a project of your own, import from 'malmen'.

import { pathToFileURL } from 'node:url';
import {
  assertSameBase,
  type EditScores,
  LanguageModel,
  loadEditor,
  openTokenizer,
  readEditorDescription,
  readRecords,
  saveShift,
  scoreEdit,
  splitIntoBatches,
  type TensorOf,
  tokenizeRecords,
  verifyWeights,
} from '../src/index.js';

export interface Paths {
  readonly model: string;
  readonly editor: string;
  readonly records: string;
  readonly shift: string;
}

export async function editModel({ model: dir, editor: editorDir, records, shift: out }: Paths): Promise<EditScores> {
  const facts = await readRecords(records);
  const model = await LanguageModel.open(dir);
  try {
    // Weights are checked for damage and hashed: an editor belongs to one model.
    const baseHash = await verifyWeights(model.folder);
    const description = await readEditorDescription(editorDir);
    assertSameBase(editorDir, description, baseHash, dir);

    // The edited layers become inputs of the computation; the weights themselves are never written to.
    const editable = await model.editing(model.layers(description.layers));
    const editor = await loadEditor(editorDir, description, editable, 8192);
    const { rounds, lambdaScale } = description;
    const tokenizer = await openTokenizer(dir);
    const tokenized = await tokenizeRecords(tokenizer, facts, model.definition);

    // Edit and ask in one go: scores before and after, and a row per fact.
    const { rows, scores } = await scoreEdit(editable, editor, tokenized, { batch: 100, rounds, lambdaScale });
    for (const { id, before, after } of rows) console.log(`${id}: ${before.es.toFixed(2)} -> ${after.es.toFixed(2)}`);

    // The shift itself: what is added to each layer. It is far smaller than the model, and undone by leaving it out.
    const pairs = tokenized.map(({ edit }) => edit);
    const batches = splitIntoBatches(pairs, { kind: model.definition.kind, batchSize: 100, sortByLength: true }).map(
      ({ batch }) => batch,
    );
    const shift = await editor.computeShift(editable, batches, { rounds, lambdaScale });
    const modules = new Map<string, TensorOf<'f32'>>();
    for (const [name, resident] of shift) modules.set(name, await model.runtime.download<TensorOf<'f32'>>(resident));
    await saveShift(out, { baseHash, editor: editor.name, modules });
    return scores;
  } finally {
    await model.close();
  }
}

const isProgram = process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href;
if (isProgram) {
  const [model, editor, records, shift] = process.argv.slice(2);
  if (!model || !editor || !records || !shift) throw new Error('usage: edit-a-model.ts MODEL EDITOR RECORDS SHIFT');
  console.log(await editModel({ model, editor, records, shift }));
}
