// What the report of an edit says beside its numbers: what "before" and "after" are, and which model and editor, to the bit.

import { join } from 'node:path';
import { editorHash } from '../editors/editor-folder.js';
import type { FactReport } from '../eval/fact-report.js';
import type { ReportData, Setting } from '../report/report-data.js';
import { present } from '../util/present.js';
import type { Eased } from './ease-shift.js';
import { type EditOptions, editOptions } from './options.js';
import { writeReport } from './write-report.js';

/** Of an edit's result, what the report shows. */
interface Result extends Pick<ReportData, 'scores' | 'exactMatch' | 'neutral' | 'layers'> {
  readonly eased?: Eased;
  readonly editor: string;
  readonly editSeconds: number;
  readonly secondsPerFact: number;
}

interface Done {
  readonly result: Result;
  readonly reports: readonly FactReport[];
  readonly hashes: EditHashes;
}

/** Content hashes of the base model and of the saved one. */
export interface EditHashes {
  readonly base: string;
  readonly edited: string;
}

/** Where the report of an edit lies in its folder. */
export const reportPath = (folder: string) => join(folder, 'report.html');

/** Into `folder`, which will be `options.out`. */
export async function writeEditReport(
  folder: string,
  options: EditOptions,
  { result, reports, hashes }: Done,
): Promise<void> {
  await writeReport(
    reportPath(folder),
    { name: 'edit', schema: editOptions, options },
    {
      title: `${reports.length.toLocaleString('en-US')} facts edited at once by ${editorNames[result.editor] ?? result.editor}`,
      subtitle: 'Before: the base model. After: the saved checkpoint, opened again from disk and asked.',
      compared: true,
      scores: result.scores,
      ...present('exactMatch', result.exactMatch),
      ...present('neutral', result.neutral),
      facts: reports,
      layers: result.layers,
      provenance: await provenance(options, { result, reports, hashes }),
    },
  );
}

const editorNames: Readonly<Record<string, string>> = { malmen: 'MALMEN', mend: 'MEND', ft: 'fine-tuning' };

async function provenance(
  { model, editor, records, out }: EditOptions,
  { result: { editSeconds, secondsPerFact, eased }, hashes }: Done,
): Promise<Setting[]> {
  const trained = editor === 'ft' ? [] : [{ name: 'editor sha256', value: await editorHash(editor) }];
  return [
    { name: 'base model', value: model },
    { name: 'base content hash', value: hashes.base },
    { name: 'editor', value: editor },
    ...trained,
    { name: 'records', value: records },
    { name: 'edited model', value: out },
    { name: 'edited content hash', value: hashes.edited },
    ...(eased ? [{ name: 'shift scaled down to', value: eased.factor.toFixed(2) }] : []),
    { name: 'edit took', value: `${editSeconds.toFixed(1)} s, ${(secondsPerFact * 1000).toFixed(1)} ms a fact` },
  ];
}
