// Which of the stored numbers can be tested; the others are reported as skipped tests with the reason.

import { it } from 'vitest';
import { goldenPath } from '../data/stored-data.js';
import type { GoldenModel } from './golden-folder.js';

interface Stored {
  readonly model: GoldenModel;
  readonly label?: string;
}

/** Those of supported models. Call it where tests are collected. */
export function testable<T extends Stored>(records: readonly T[], what: string): T[] {
  for (const { model, label } of records) {
    const name = label === undefined ? model.name : `${model.name} ${label}`;
    if (!model.supported) it.skip(`${name}: there is no model type '${model.modelType}' in src/models`, () => {});
  }
  reportAbsence(records, what);
  return records.filter(({ model }) => model.supported);
}

/** A file without any test would count as broken; a golden folder need not hold everything. */
export function reportAbsence(records: readonly Stored[], what: string): void {
  if (records.length === 0) it.skip(`${goldenPath()} holds no ${what}`, () => {});
}
