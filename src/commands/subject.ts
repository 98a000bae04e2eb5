// The model that a command works on: opened, its weights checked and hashed, its tokenizer at hand.

import { verifyWeights } from '../checkpoint/verify-weights.js';
import type { EditRecord } from '../data/record.js';
import { type TokenizedRecord, tokenizeRecords } from '../data/tokenized-record.js';
import { LanguageModel } from '../engine/language-model.js';
import type { Device } from '../engine/runtime.js';
import { assertFits, openTokenizer, type Tokenizer } from '../tokenizer/tokenizer.js';
import type { CommandContext } from './events.js';
import { findModel } from './model-source.js';

export interface Subject {
  readonly model: LanguageModel;
  readonly tokenizer: Tokenizer;
  /** Content hash of the weights. */
  readonly hash: string;
  /** What the user named, for people: an absolute path, or the hub's name and the commit. */
  readonly name: string;
}

export interface SubjectOptions {
  readonly model: string;
  readonly weights?: string | undefined;
  readonly device: Device;
  readonly threads?: number | undefined;
}

/** Opens a model and its tokenizer, runs `work`, closes the model whatever happens. */
export function withSubject<R>(
  options: SubjectOptions,
  context: CommandContext,
  work: (subject: Subject) => Promise<R>,
): Promise<R> {
  return withModel(options, context, async ({ model, name, verify }) => {
    const tokenizer = await openTokenizer(model.folder.dir);
    assertFits(tokenizer, model.definition.vocabularySize, model.folder.dir);
    return work({ model, tokenizer, hash: await verify(), name });
  });
}

export interface OpenedModel extends Pick<Subject, 'model' | 'name'> {
  /** Searches all weights for what is not finite. @returns their content hash */
  readonly verify: () => Promise<string>;
}

/** Like {@link withSubject}, for a model that is not given any text. */
export async function withModel<R>(
  { model: named, weights, device, threads }: SubjectOptions,
  context: CommandContext,
  work: (opened: OpenedModel) => Promise<R>,
): Promise<R> {
  const { dir, name } = await findModel(named, context);
  const model = await LanguageModel.open(dir, { weights, device, ...(threads === undefined ? {} : { threads }) });
  try {
    return await work({ model, name, verify: () => verify(model, context) });
  } finally {
    await model.close();
  }
}

function verify({ folder }: LanguageModel, { emit, signal }: CommandContext): Promise<string> {
  const mega = 1e6;
  const onProgress = (done: number, total: number) =>
    emit({
      kind: 'progress',
      stage: 'check weights',
      done: Math.round(done / mega),
      total: Math.round(total / mega),
      unit: 'MB',
    });
  return verifyWeights(folder, { signal, onProgress });
}

export function tokenizeFor({ model, tokenizer }: Subject, records: readonly EditRecord[]): Promise<TokenizedRecord[]> {
  return tokenizeRecords(tokenizer, records, model.definition);
}

/** Says so where rephrasings were made by rule: scores on them are about those rules. */
export function noteRules(records: readonly EditRecord[], { emit }: CommandContext): void {
  const count = records.filter(({ rephrasedBy }) => rephrasedBy === 'rule').length;
  if (count > 0) emit({ kind: 'note', text: `rephrasings of ${count} of ${records.length} records were made by rule` });
}
