// Locality on our own neutral prompts, for records that bring no unrelated prompts: what a model says of them, before and after.

import { neutralExamples } from '../data/neutral.js';
import type { EditRecord } from '../data/record.js';
import { type TokenizedRecord, tokenizeRecords } from '../data/tokenized-record.js';
import { inputLength } from '../data/tuple.js';
import type { EditableModel, LayerTensors } from '../engine/editable-model.js';
import type { AnswerPrediction } from '../eval/metrics.js';
import { type NeutralScores, neutralScores } from '../eval/neutral-scores.js';
import { predictPairs } from '../eval/predict.js';
import type { CommandContext } from './events.js';
import { generateAnswers, writes } from './generations.js';
import type { Subject } from './subject.js';

/** The neutral prompts to ask of this model: none where a record brings unrelated prompts, and none that a record edits. */
export async function neutralRecords(
  { tokenizer, model }: Subject,
  records: readonly EditRecord[],
): Promise<TokenizedRecord[]> {
  const { kind, contextTokens } = model.definition;
  // They are texts to go on with: a fact checker is not asked them.
  if (!writes(model.definition) || records.some(({ unrelated }) => unrelated.length > 0)) return [];
  const edited = new Set(records.map(({ edit }) => edit.prompt.trim()));
  const examples = (await neutralExamples()).filter(({ prompt }) => !edited.has(prompt));
  const asRecords = examples.map((edit) => ({ id: edit.prompt, edit, rephrasings: [], unrelated: [] }));
  const tokenized = await tokenizeRecords(tokenizer, asRecords, { kind, contextTokens: Number.POSITIVE_INFINITY });
  return tokenized.filter(({ edit }) => inputLength(edit, kind) <= contextTokens);
}

/** What a model says of neutral prompts. */
export interface NeutralAnswers {
  readonly predictions: readonly AnswerPrediction[];
  /** Free generations; absent unless asked for. */
  readonly texts?: readonly string[];
}

/** One model under one set of weights. */
interface Asked {
  readonly editable: EditableModel;
  readonly weights: LayerTensors;
  readonly tokenizer: Subject['tokenizer'];
}

export async function askNeutral(
  { editable, weights, tokenizer }: Asked,
  records: readonly TokenizedRecord[],
  { batch, generate, when }: { readonly batch: number; readonly generate: boolean; readonly when: 'before' | 'after' },
  context: CommandContext,
): Promise<NeutralAnswers> {
  const { emit, signal } = context;
  const onProgress = (done: number, total: number) =>
    emit({ kind: 'progress', stage: `neutral ${when}`, done, total, unit: 'prompts' });
  const pairs = records.map(({ edit }) => edit);
  const found = await predictPairs(editable, [weights], pairs, { batch, signal, onProgress });
  const predictions = found.map(([prediction]) => prediction!);
  if (!generate || records.length === 0) return { predictions };
  const stage = { batch, stage: `generate neutral ${when}` };
  return { predictions, texts: await generateAnswers(editable, weights, tokenizer, records, stage, context) };
}

/** Undefined where no neutral prompt was asked. */
export function compareNeutral(before: NeutralAnswers, after: NeutralAnswers): NeutralScores | undefined {
  if (before.predictions.length === 0) return undefined;
  const pairs = before.predictions.map((prediction, at) => [prediction, after.predictions[at]!] as const);
  return neutralScores(pairs, before.texts && after.texts && { before: before.texts, after: after.texts });
}
