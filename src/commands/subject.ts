// The model that a command works on: opened, its weights checked and hashed, its tokenizer at hand.

import { verifyWeights } from '../checkpoint/verify-weights.js';
import type { EditRecord } from '../data/record.js';
import { type TokenizedRecord, tokenizeRecords } from '../data/tokenized-record.js';
import { LanguageModel } from '../engine/language-model.js';
import type { Device } from '../engine/runtime.js';
import { assertFits, openTokenizer, type Tokenizer } from '../tokenizer/tokenizer.js';
import type { CommandContext } from './events.js';

export interface Subject {
  readonly model: LanguageModel;
  readonly tokenizer: Tokenizer;
  /** Content hash of the weights. */
  readonly hash: string;
}

export interface SubjectOptions {
  readonly model: string;
  readonly device: Device;
  readonly threads?: number | undefined;
}

/** Opens a model, runs `work`, closes the model whatever happens. */
export async function withSubject<R>(
  { model: dir, device, threads }: SubjectOptions,
  { emit, signal }: CommandContext,
  work: (subject: Subject) => Promise<R>,
): Promise<R> {
  const model = await LanguageModel.open(dir, { device, ...(threads === undefined ? {} : { threads }) });
  try {
    const tokenizer = await openTokenizer(model.folder.dir);
    assertFits(tokenizer, model.definition.vocabularySize, model.folder.dir);
    const mega = 1e6;
    const onProgress = (done: number, total: number) =>
      emit({
        kind: 'progress',
        stage: 'check weights',
        done: Math.round(done / mega),
        total: Math.round(total / mega),
        unit: 'MB',
      });
    const hash = await verifyWeights(model.folder, { signal, onProgress });
    return await work({ model, tokenizer, hash });
  } finally {
    await model.close();
  }
}

export function tokenizeFor({ model, tokenizer }: Subject, records: readonly EditRecord[]): Promise<TokenizedRecord[]> {
  return tokenizeRecords(tokenizer, records, model.definition.contextTokens);
}
