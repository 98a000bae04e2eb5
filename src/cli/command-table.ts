// The commands of the program, one entry each: adding a command is adding an entry.
// Knows their options and words; their code is loaded when they run.

import {
  askOptions,
  benchOptions,
  checkOptions,
  convertOptions,
  demoOptions,
  editOptions,
  evalOptions,
  fitOptions,
  initOptions,
  inspectOptions,
  trainOptions,
} from '../commands/options.js';
import { type CommandEntry, defineCommand } from './command-entry.js';

export const commandTable: readonly CommandEntry[] = [
  defineCommand({
    name: 'demo',
    description:
      'the whole job on the model that comes with malmen: train an editor, edit many facts at once, ask what was saved',
    schema: demoOptions,
    examples: [
      { line: 'demo', meaning: 'edit 200 facts at once with MALMEN' },
      { line: 'demo --editor mend --out runs/demo', meaning: 'the same with MEND, on the same model' },
    ],
    load: async () => (await import('../commands/demo.js')).demo,
  }),
  defineCommand({
    name: 'fit',
    description: 'train a small language model on facts, to have something to edit',
    schema: fitOptions,
    examples: [
      {
        line: 'fit --config configs/small-llama.json --data pararel:pararel --vocabulary 5000 --out runs/lm',
        meaning: 'make a model and its tokenizer',
      },
      {
        line: 'fit --config gpt2 --data jsonl:facts.jsonl#:5000 --epochs 2 --out runs/lm',
        meaning: 'teach a checkpoint the first 5,000 facts',
      },
    ],
    load: async () => (await import('../commands/fit.js')).fit,
  }),
  defineCommand({
    name: 'train',
    description: 'train an editor (MALMEN or MEND) for a language model',
    schema: trainOptions,
    examples: [
      {
        line: 'train --model runs/lm --data zsre:train.json --edits 500 --steps 100 --out runs/editor',
        meaning: 'learn to edit 500 facts at once',
      },
      {
        line: 'train --model runs/lm --data zsre:train.json --out runs/editor --resume',
        meaning: 'continue after an interruption',
      },
    ],
    load: async () => (await import('../commands/train.js')).train,
  }),
  defineCommand({
    name: 'edit',
    description: 'change facts inside a language model and measure what changed',
    schema: editOptions,
    examples: [
      {
        line: 'edit --model runs/lm --editor runs/editor --records jsonl:facts.jsonl --out runs/edited',
        meaning: 'edit all facts of a file at once',
      },
      {
        line: 'edit --model runs/lm --editor ft --layers transformer.h.5.mlp.c_proj --records zsre:eval.json#100 --out runs/ft',
        meaning: 'fine-tune one layer instead',
      },
    ],
    load: async () => (await import('../commands/edit.js')).edit,
  }),
  defineCommand({
    name: 'eval',
    description: 'ask a language model facts, with or without an edit applied',
    schema: evalOptions,
    examples: [
      {
        line: 'eval --model runs/lm --shift runs/edited/shift.safetensors --records zsre:eval.json --out report.jsonl',
        meaning: 'a row per fact after the edit',
      },
    ],
    load: async () => (await import('../commands/eval.js')).eval,
  }),
  defineCommand({
    name: 'init',
    description: 'write an example of facts and settings, to put your own in',
    schema: initOptions,
    positional: 'path',
    examples: [
      {
        line: 'init my-facts',
        meaning: 'my-facts/facts.csv for a spreadsheet, my-facts/edit.yaml with the settings of an edit',
      },
      { line: 'init facts.jsonl', meaning: 'facts as JSON lines' },
    ],
    load: async () => (await import('../commands/init.js')).init,
  }),
  defineCommand({
    name: 'check',
    description: 'say which facts are fine, before any work: contradictions, lengths, what is true already',
    schema: checkOptions,
    positional: 'records',
    examples: [
      { line: 'check facts.csv', meaning: 'what can be seen without a model' },
      {
        line: 'check facts.csv --model runs/lm --json',
        meaning: 'all that can be seen; exit code 1 where there are problems',
      },
    ],
    load: async () => (await import('../commands/check.js')).check,
    failed: ({ problems }) => problems > 0,
  }),
  defineCommand({
    name: 'ask',
    description: 'complete a sentence, before and after an edit',
    schema: askOptions,
    positional: 'prompt',
    examples: [
      {
        line: 'ask "The Eiffel Tower is in" --model runs/lm --shift runs/edited/shift.safetensors',
        meaning: 'both answers side by side',
      },
    ],
    load: async () => (await import('../commands/ask.js')).ask,
  }),
  defineCommand({
    name: 'inspect',
    description: 'describe a model, an editor or a safetensors file, and the memory an edit would take',
    schema: inspectOptions,
    positional: 'path',
    examples: [{ line: 'inspect runs/lm --edits 8192', meaning: 'layers that can be edited, memory of a job' }],
    load: async () => (await import('../commands/inspect.js')).inspect,
  }),
  defineCommand({
    name: 'convert',
    description: 'make an editor of what the published code trained (*_net.pth, *_opt.pth)',
    schema: convertOptions,
    examples: [
      {
        line: 'convert --model gpt2 --net malmen_net.pth --optimizer malmen_opt.pth --out runs/editor',
        meaning: 'an editor folder for edit --editor, and for train --from',
      },
    ],
    load: async () => (await import('../commands/convert.js')).convert,
  }),
  defineCommand({
    name: 'bench',
    description: 'measure the speed of one part of the program on this computer',
    schema: benchOptions,
    positional: 'what',
    examples: [{ line: 'bench solve --key-size 3072 --edits 8192', meaning: 'the normal equation of one layer' }],
    load: async () => (await import('../commands/bench.js')).bench,
  }),
];
