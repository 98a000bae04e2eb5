// The editor that `malmen edit` was asked for, opened on its model within the memory that it may take.

import { join } from 'node:path';
import { askedPairs, longestWording } from '../data/asked-in-round.js';
import type { TokenizedRecord } from '../data/tokenized-record.js';
import type { TokenPair } from '../data/tuple.js';
import type { Editor } from '../editors/editor.js';
import { assertSameBase, type EditorDescription, loadEditor } from '../editors/editor-folder.js';
import { FineTuning } from '../editors/fine-tuning.js';
import type { EditableModel } from '../engine/editable-model.js';
import { MemoryRecords } from '../engine/memory-records.js';
import { evaluatedPairs } from '../eval/evaluate.js';
import { present } from '../util/present.js';
import type { CommandContext } from './events.js';
import { type FrozenPrompts, frozenSize } from './frozen-size.js';
import { jobsOf } from './memory-job.js';
import { planRun, type RunPlan } from './memory-limit.js';
import type { EditOptions } from './options.js';
import { spoolsRows } from './row-spooling.js';
import type { Subject } from './subject.js';

/** What an edit reads. */
interface EditFacts {
  readonly records: readonly TokenizedRecord[];
  /** What must stay, the longest first: of the first so many as a round takes, memory is planned. */
  readonly kept: readonly TokenPair[];
  /** Where the output is being made: rows may wait on disk in it. */
  readonly folder: string;
}

/** What lies below the edited layers is the same in every round: bytes of it that are computed once and kept, at most 256 MB. */
const frozenBetweenRounds = (prompts: FrozenPrompts) => Math.min(frozenSize(prompts).bytes, 256 * 2 ** 20);

export interface OpenEditor {
  readonly editable: EditableModel;
  readonly editor: Editor;
  readonly rounds: number;
  /** Whether a fact that stands already asks for nothing. */
  readonly isDamped: boolean;
  readonly lambdaScale: number;
  readonly plan: RunPlan;
  /** Where rows wait on disk, if they do. */
  readonly spoolTo?: string;
  /** Gives up what was kept of prompts that are not asked again, so that there is room for those of the rounds. */
  forget(): void;
  /** Gives up what the editor holds. */
  close(): void;
}

/**
 * @param description what the folder of the editor says; undefined for fine-tuning
 * @throws MalmenError where the editor is another model's, or `--memory` is too little
 */
export async function openEditor(
  { model, hash }: Subject,
  { records, kept, folder }: EditFacts,
  description: EditorDescription | undefined,
  options: EditOptions,
  context: CommandContext,
): Promise<OpenEditor> {
  const asked = [...askedPairs(records), ...kept];
  const pairs = [...evaluatedPairs(records), ...asked];
  const edits = [...records.map(longestWording), ...kept.slice(0, options.keepPrompts)];
  const job = { task: 'edit', model, pairs, edits, eases: options.ease > 0 } as const;
  if (description === undefined) {
    const layers = model.layers(options.layers);
    const plan = planRun(options, jobsOf({ ...job, task: 'fine-tune', layers, tokens: 'answers' }), context);
    const editable = await model.editing(layers, plan);
    const editor = new FineTuning({ steps: options.ftSteps, learningRate: options.ftRate });
    return { editable, editor, rounds: 1, isDamped: false, lambdaScale: 1, plan, forget: () => {}, close: () => {} };
  }
  assertSameBase(options.editor, description, hash, options.model);
  const layers = model.layers(description.layers);
  const { rounds = description.rounds, lambdaScale = description.lambdaScale } = options;
  const { tokens, preserves } = description;
  const frozenBytes =
    rounds > 1 ? frozenBetweenRounds({ definition: model.definition, layers, tokens, pairs: asked }) : 0;
  const needs = {
    ...job,
    layers,
    network: { ...description, editor: description.method },
    tokens,
    preserves,
    frozenBytes,
  };
  const jobOf = jobsOf(needs);
  const spools = await spoolsRows(jobOf(options.batch), folder, options, context);
  const plan = planRun(options, (batch) => ({ ...jobOf(batch), spools }), context);
  const frozen = new MemoryRecords(frozenBytes);
  const editable = await model.editing(layers, plan, frozenBytes > 0 ? frozen : undefined);
  const editor = await loadEditor(options.editor, description, editable, 8192);
  const close = () => {
    editable.cache?.close();
    frozen.clear();
    editor.close(model.runtime);
  };
  return {
    editable,
    editor,
    rounds,
    isDamped: editor.method.damped,
    lambdaScale,
    plan,
    ...present('spoolTo', spools ? join(folder, 'rows') : undefined),
    forget: () => frozen.clear(),
    close,
  };
}
