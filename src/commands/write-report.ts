// The report of a run of `edit` or `eval` as a file. Knows how neither of them works.

import type { z } from 'zod';
import { htmlReport } from '../report/html-report.js';
import { readPageFiles } from '../report/page-files.js';
import type { ReportData, Setting } from '../report/report-data.js';
import { writeFileAtomic } from '../util/atomic-file.js';
import { packageVersion } from '../util/package-version.js';
import { commandLine } from './command-line.js';

/** The command that ran, and with what. */
interface Run {
  readonly name: 'edit' | 'eval';
  readonly schema: z.ZodObject;
  readonly options: Readonly<Record<string, unknown>>;
}

export async function writeReport(
  path: string,
  { name, schema, options }: Run,
  data: Omit<ReportData, 'options' | 'command'>,
): Promise<void> {
  const report = {
    ...data,
    provenance: [...data.provenance, { name: 'made with', value: `malmen ${packageVersion()}, ${today()}` }],
    options: Object.entries(options).map(([key, value]): Setting => ({ name: key, value: String(value) })),
    command: commandLine(name, schema, options),
  };
  await writeFileAtomic(path, htmlReport(report, await readPageFiles()));
}

/** Of the universal time zone, to the minute. */
function today(): string {
  return `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
