// Edits and asks in one go: the shift of some records, and what the shifted model then says of them.

import { askedInRound } from '../data/asked-in-round.js';
import type { TokenizedRecord } from '../data/tokenized-record.js';
import type { ComputeShiftOptions, Editor } from '../editors/editor.js';
import type { EditableModel } from '../engine/editable-model.js';
import { present } from '../util/present.js';
import { type EditScores, evaluateRecords, type FactRow, summarize, underWeights } from './evaluate.js';
import type { PredictOptions } from './predict.js';

export type { EditScores } from './evaluate.js';

/** Nothing stays behind: the shift is undone when this returns. */
export async function scoreEdit(
  model: EditableModel,
  editor: Editor,
  records: readonly TokenizedRecord[],
  options: PredictOptions & {
    readonly onEditProgress?: ComputeShiftOptions['onProgress'];
    readonly rounds?: number;
    readonly lambdaScale?: number;
    readonly hold?: number;
    readonly kept?: ComputeShiftOptions['kept'];
    /** The records as the edit reads them, with the ends of their answers for instance. Default: as they are scored. */
    readonly told?: readonly TokenizedRecord[];
  },
): Promise<{ rows: FactRow[]; scores: EditScores }> {
  const { batch, signal, onEditProgress, kept, hold, rounds = 1, lambdaScale = 1, told = records } = options;
  const inRound = askedInRound(told, { kind: model.model.definition.kind, batchSize: batch, rounds });
  const shift = await editor.computeShift(model, inRound(rounds - 1), {
    rounds,
    lambdaScale,
    inRound,
    ...present('hold', hold),
    ...(kept ? { kept } : {}),
    ...(signal ? { signal } : {}),
    ...(onEditProgress ? { onProgress: onEditProgress } : {}),
  });
  const after = await model.shifted(shift);
  model.runtime.release(...shift.values());
  const rows = await evaluateRecords(records, underWeights(model, { before: model.base, after }, options));
  model.releaseWeights(after);
  return { rows, scores: summarize(rows) };
}
