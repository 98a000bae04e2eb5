// `malmen check`: says of every record, before any work, whether it can be edited in and measured.

import type { Finding } from '../data/finding.js';
import { findingKinds } from '../data/finding.js';
import type { PlacedRecord } from '../data/record-reader.js';
import { reviewRecords } from '../data/review-records.js';
import { reviewTokens, type TokenReview } from '../data/review-tokens.js';
import { readPlacedRecords } from '../data/spec.js';
import { success } from '../eval/metrics.js';
import { predictPairs } from '../eval/predict.js';
import type { CommandContext } from './events.js';
import type { CheckOptions } from './options.js';
import { type Subject, withSubject } from './subject.js';

/** What was found in a file of facts. */
export interface CheckResult {
  readonly records: string;
  /** Absent where no model was asked: then nothing is known of lengths, tokens and what is true already. */
  readonly model?: string;
  /** Records that can be read. */
  readonly facts: number;
  /** Records of which nothing is to be said. */
  readonly fine: number;
  /** Findings that spoil an edit or its measurement. */
  readonly problems: number;
  /** Findings that are worth knowing. */
  readonly remarks: number;
  /** All of them, in the order of the file. */
  readonly findings: readonly Finding[];
}

/** A result with problems is a result: the command line turns it into exit code 1. */
export async function check(options: CheckOptions, context: CommandContext): Promise<CheckResult> {
  const { records, problems } = await readPlacedRecords(options.records, { signal: context.signal });
  const unreadable = problems.map(({ where, problem }): Finding => ({ kind: 'unreadable', where, text: problem }));
  const asked =
    options.model === undefined
      ? []
      : await withSubject({ ...options, model: options.model }, context, (subject) =>
          reviewWithModel(subject, records, options, context),
        );
  const findings = inOrder([...unreadable, ...reviewRecords(records), ...asked]);
  const result = summarize(options, records.length, findings);
  tell(result, context);
  return result;
}

/** By line, as far as places are lines; findings of one place stay in their order. */
function inOrder(findings: readonly Finding[]): Finding[] {
  const place = ({ where }: Finding) => Number(/(\d+)$/.exec(where)?.[1] ?? 0);
  return findings.toSorted((a, b) => place(a) - place(b));
}

async function reviewWithModel(
  { model, tokenizer }: Subject,
  records: readonly PlacedRecord[],
  { batch }: CheckOptions,
  { emit, signal }: CommandContext,
): Promise<Finding[]> {
  const { findings, answerable } = await reviewTokens(records, tokenizer, model.definition);
  const editable = await model.editing([]);
  const onProgress = (done: number, total: number) =>
    emit({ kind: 'progress', stage: 'ask', done, total, unit: 'facts' });
  const predictions = await predictPairs(
    editable,
    [editable.base],
    answerable.map(({ pair }) => pair),
    { batch, signal, onProgress },
  );
  const known = answerable.filter((_, at) => success(predictions[at]![0]!) === 1);
  return [...findings, ...known.map(alreadyTrue)];
}

function alreadyTrue({ placed: { where, record } }: TokenReview['answerable'][number]): Finding {
  const text = `the model answers '${record.edit.answer.trim()}' already; an edit only makes it surer`;
  return { kind: 'already true', where, id: record.id, text };
}

function summarize({ records, model }: CheckOptions, facts: number, findings: readonly Finding[]): CheckResult {
  const spoken = new Set(findings.flatMap(({ id, where }) => (id === undefined ? [] : [where])));
  const problems = findings.filter(({ kind }) => findingKinds[kind].severity === 'problem').length;
  return {
    records,
    ...(model === undefined ? {} : { model }),
    facts,
    fine: facts - spoken.size,
    problems,
    remarks: findings.length - problems,
    findings,
  };
}

/** Findings shown on the terminal; `--json` has all. */
const shownFindings = 50;

function tell({ records, facts, fine, problems, model, findings }: CheckResult, { emit }: CommandContext): void {
  const rows = Object.entries(findingKinds).flatMap(([kind, { severity, meaning }]) => {
    const count = findings.filter((finding) => finding.kind === kind).length;
    return count === 0 ? [] : [[kind, count, severity, meaning]];
  });
  const summary = [['fine', fine, '', 'nothing to be said'], ...rows];
  emit({ kind: 'table', title: `${records}: ${facts} facts`, columns: ['', 'records', '', ''], rows: summary });
  // Lines, not a table: a terminal would cut the advice off.
  for (const { where, kind, text } of findings.slice(0, shownFindings))
    emit({ kind: 'note', text: `${where}: ${kind}: ${text}` });
  if (findings.length > shownFindings)
    emit({ kind: 'note', text: `... and ${findings.length - shownFindings} more; --json lists all` });
  if (model === undefined)
    emit({
      kind: 'note',
      text: 'with --model DIR: also what is too long for it, what it cannot write, and what it knows already',
    });
  emit({ kind: 'note', text: problems === 0 ? 'ready to edit' : 'mend these before editing' });
}
