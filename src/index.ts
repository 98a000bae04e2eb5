// The public API, and the only barrel: the commands as functions, and what is needed to edit a model from a program.

export type { ModelFolder } from './checkpoint/model-folder.js';
export { type SaveEditedModel, saveEditedModel } from './checkpoint/save-model.js';
export { loadShift, type SavedShift, type ShiftToSave, saveShift } from './checkpoint/shift-file.js';
export type { TensorEntry } from './checkpoint/stored-tensor.js';
export { type ScanOptions, verifyWeights } from './checkpoint/verify-weights.js';
export { type AskResult, ask } from './commands/ask.js';
export { type BenchResult, bench } from './commands/bench.js';
export { type CheckResult, check } from './commands/check.js';
export { type ConvertResult, convert } from './commands/convert.js';
export { type DemoResult, demo } from './commands/demo.js';
export type { Eased } from './commands/ease-shift.js';
export { edit } from './commands/edit.js';
export type { EditResult } from './commands/edit-result.js';
export { type EvalResult, eval as evaluate } from './commands/eval.js';
export type { Command, CommandContext, CommandEvent } from './commands/events.js';
export { type FitResult, fit } from './commands/fit.js';
export { type InitResult, init } from './commands/init.js';
export {
  type EditorReport,
  type FileReport,
  type InspectResult,
  inspect,
  type JobMemory,
  type ModelReport,
} from './commands/inspect.js';
export type { MemoryEstimate } from './commands/memory-estimate.js';
export type { OddsReport } from './commands/odds.js';
export * as options from './commands/options.js';
export type { Rounding } from './commands/rounding.js';
export { type TrainResult, train } from './commands/train.js';
export type { AskedBatch } from './data/asked-batch.js';
export type { DecoderBatch } from './data/batch.js';
export type { ClaimBatch } from './data/claim-batch.js';
export { withEnds } from './data/ended-records.js';
export type { Finding } from './data/finding.js';
export type { EditRecord, Example, UnrelatedExample } from './data/record.js';
export { type ReadOptions, readRecords } from './data/spec.js';
export { type IndexedBatch, type SplitOptions, splitIntoBatches, type TokenBatch } from './data/split-batches.js';
export { type TokenizedRecord, tokenizeRecords } from './data/tokenized-record.js';
export type { Encode, ModelInput, TextEncoders, TokenPair } from './data/tuple.js';
export type { TwoSidedBatch } from './data/two-sided-batch.js';
export type { AnswerBatch, ComputeShiftOptions, Editor, EditProgress } from './editors/editor.js';
export { assertSameBase, type EditorDescription, loadEditor, readEditorDescription } from './editors/editor-folder.js';
export { FineTuning, type FineTuningSettings } from './editors/fine-tuning.js';
export type { HyperEditor } from './editors/hyper-editor.js';
export type { EditableModel, LayerTensors } from './engine/editable-model.js';
export type { CacheUse, FrozenCache, RecordStore } from './engine/frozen-cache.js';
export { LanguageModel, type OpenModelOptions } from './engine/language-model.js';
export type { LayerGroup } from './engine/layer-group.js';
export type { TokenChoice } from './engine/lm-programs.js';
export type {
  Capture,
  CapturedRows,
  FrozenBatch,
  GradientRequest,
  KeyStack,
  LossGradient,
  Memory,
  Predictions,
  StepOutputs,
} from './engine/model-answers.js';
export type { ModelBatch } from './engine/model-batch.js';
export type { OpenModel } from './engine/open-model.js';
export type { RowCounts } from './engine/row-counts.js';
export type { Resident, Runtime, RuntimeMemory } from './engine/runtime.js';
export type { Running, Schedule } from './engine/schedule.js';
export { type ErrorCode, MalmenError } from './errors.js';
export type { EditScores, FactRow, FactScores } from './eval/evaluate.js';
export type { NeutralScores } from './eval/neutral-scores.js';
export type { PredictOptions } from './eval/predict.js';
export { scoreEdit } from './eval/score-edit.js';
export type { OddsScores } from './eval/target-odds.js';
export type { EditableLayer, ModelDefinition, ParameterSpec } from './models/model.js';
export type { LayerNorms } from './report/report-data.js';
export type { DType, LazyTensor, StorageDType, Tensor, TensorData, TensorOf } from './tensor.js';
export { openTokenizer, type Tokenizer } from './tokenizer/tokenizer.js';
export type { ModelKind } from './util/model-kind.js';
