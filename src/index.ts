// The public API, and the only barrel: the commands as functions, and what is needed to edit a model from a program.

export { ask } from './commands/ask.js';
export { bench } from './commands/bench.js';
export { demo } from './commands/demo.js';
export { edit } from './commands/edit.js';
export { eval as evaluate } from './commands/eval.js';
export type { Command, CommandContext, CommandEvent } from './commands/events.js';
export { fit } from './commands/fit.js';
export { inspect } from './commands/inspect.js';
export * as options from './commands/options.js';
export { train } from './commands/train.js';
export type { EditRecord, Example } from './data/record.js';
export { readRecords } from './data/spec.js';
export type { Editor } from './editors/editor.js';
export { loadEditor, readEditorDescription } from './editors/editor-folder.js';
export type { EditableModel } from './engine/editable-model.js';
export { LanguageModel } from './engine/language-model.js';
export { MalmenError } from './errors.js';
