// The stored items and batches of the published zsRE data set, as `golden/dataset/zsre_gpt2.json` has them.

import type { NamedExample } from '../../src/data/tuple.js';

/** Padded rows. Labels are shifted, -100 = none. */
export interface PublishedBatch {
  readonly input_ids: readonly (readonly number[])[];
  readonly attention_mask: readonly (readonly number[])[];
  readonly labels: readonly (readonly number[])[];
}

export const publishedKinds = ['edit_tuples', 'equiv_tuples', 'unrel_tuples'] as const;
export type PublishedKind = (typeof publishedKinds)[number];

interface PublishedRow {
  readonly src: string;
  readonly rephrase: string;
  readonly ans: string;
  readonly loc: string;
  readonly loc_ans: string;
}

export interface PublishedDataSet {
  readonly batch_size: number;
  readonly rows: readonly PublishedRow[];
  readonly items: readonly Record<PublishedKind, PublishedBatch>[];
  readonly batches: Record<PublishedKind, readonly PublishedBatch[]>;
}

/** The examples of one kind as texts; an unrelated prompt gets a question mark, as published. */
export function publishedExamples({ rows }: PublishedDataSet, kind: PublishedKind): NamedExample[] {
  return rows.map(({ src, rephrase, ans, loc, loc_ans }, at) => {
    const recordId = String(at);
    if (kind === 'edit_tuples') return { prompt: src, answer: ans, recordId };
    if (kind === 'equiv_tuples') return { prompt: rephrase, answer: ans, recordId };
    return { prompt: `${loc}?`, answer: loc_ans, recordId };
  });
}
