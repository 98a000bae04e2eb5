// What the report of an evaluation says beside its numbers: which model, which shift, to the bit.

import type { FactReport } from '../eval/fact-report.js';
import type { LayerNorms, ReportData, Setting } from '../report/report-data.js';
import { fileHash } from '../util/file-hash.js';
import { present } from '../util/present.js';
import { type EvalOptions, evalOptions } from './options.js';
import { writeReport } from './write-report.js';

interface Evaluated {
  readonly options: EvalOptions;
  readonly result: Pick<ReportData, 'scores' | 'exactMatch' | 'neutral'>;
  readonly reports: readonly FactReport[];
  readonly layers: readonly LayerNorms[];
  /** Content hash of the model. */
  readonly hash: string;
}

export async function writeEvalReport(
  path: string,
  { options, result, reports, layers, hash }: Evaluated,
): Promise<void> {
  const { model, shift, records } = options;
  const oneModel = shift === undefined;
  await writeReport(
    path,
    { name: 'eval', schema: evalOptions, options },
    {
      title: `${reports.length.toLocaleString('en-US')} facts asked`,
      subtitle: oneModel ? 'One model, as it is.' : 'Before: the model as it is. After: with the shift added.',
      compared: !oneModel,
      scores: result.scores,
      ...present('exactMatch', result.exactMatch),
      ...present('neutral', result.neutral),
      facts: reports,
      layers,
      provenance: [
        { name: 'model', value: model },
        { name: 'content hash', value: hash },
        ...(oneModel ? [] : await shiftSettings(shift)),
        { name: 'records', value: records },
      ],
    },
  );
}

async function shiftSettings(path: string): Promise<Setting[]> {
  return [
    { name: 'shift', value: path },
    { name: 'shift sha256', value: await fileHash(path) },
  ];
}
