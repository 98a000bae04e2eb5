// The options of every command, described once: the command line, config files and the public API all read these schemas.
// Keys are camelCase here and in config files, `--kebab-case` on the command line; descriptions are the help texts.

import { z } from 'zod';
import { statisticsChoices } from '../editors/hyper-network.js';
import { byteSizePattern } from '../util/byte-size.js';
import { common, count, layers, memory, output, path, spec, subject } from './shared-options.js';

/** What `malmen fit` takes. */
export const fitOptions = z.strictObject({
  config: path().describe(
    'config.json of the model to make, or the checkpoint to continue from: its folder, or its name on the hub',
  ),
  weights: subject.weights,
  data: z.string().describe(`facts to learn: ${spec}`),
  ...output,
  resume: z.boolean().default(false).describe('continue an interrupted run in the output folder'),
  vocabulary: count()
    .optional()
    .describe('train a byte-level BPE tokenizer of this size on the data (default: use the one beside the config)'),
  epochs: count().default(8).describe('passes over the data'),
  batch: count().default(256).describe('prompts per step'),
  learningRate: z.number().positive().default(1e-3).describe('peak learning rate of Adam'),
  warmup: count().default(200).describe('steps until the peak'),
  maxGradientNorm: z.number().positive().default(1).describe('gradients are scaled down to this norm'),
  dtype: z
    .enum(['float32', 'float16', 'bfloat16'])
    .default('float32')
    .describe('how the weights are stored; training is in float32'),
  checkpointEvery: count().default(500).describe('steps between resumable checkpoints'),
  ...common,
});

/** What `malmen train` takes. */
export const trainOptions = z.strictObject({
  ...subject,
  data: z.string().describe(`facts to learn editing on: ${spec}`),
  validation: z.string().optional().describe(`facts to watch while training: ${spec}`),
  editor: z.enum(['malmen', 'mend']).default('malmen').describe('editing method'),
  from: path()
    .optional()
    .describe('editor folder to continue the training of, in a new one: its networks and optimizer'),
  ...output,
  resume: z.boolean().default(false).describe('continue an interrupted run in the output folder'),
  layers: layers.describe('layers to edit (default: the architecture’s choice)'),
  steps: count().default(100).describe('training steps'),
  edits: count().default(500).describe('facts edited at once in a step'),
  fewestEdits: count()
    .optional()
    .describe('draw the number of facts of each step between this and --edits (default: always --edits)'),
  rounds: count()
    .optional()
    .describe(
      'rounds of an edit: its facts are captured again under the shift so far (default: 8 for malmen, 1 for mend; 1: as published)',
    ),
  lambdaScale: z
    .number()
    .positive()
    .default(10)
    .describe('factor of every lambda in an edit: with several rounds, each may do less (1: as published)'),
  learntRounds: count().default(1).describe('rounds that training learns, in turn'),
  roundsFrom: z
    .int()
    .nonnegative()
    .default(40)
    .describe('step from which --learnt-rounds beyond the first are learnt: they need a first one that works'),
  damped: z
    .boolean()
    .default(true)
    .describe('wanted changes shrink with the error that is left, so that rounds settle (off: as published)'),
  ends: z
    .boolean()
    .optional()
    .describe(
      'the end of an answer is learnt and edited with it, so that the edited model stops there (default: on for encoder-decoders, which write on otherwise; off: as published)',
    ),
  preserve: z
    .number()
    .nonnegative()
    .optional()
    .describe(
      'keep the keys of the training facts’ true answers in place: their weight in the solve, in key rows for each number of a key (default: 1 where the data says what was true; 0: as published)',
    ),
  wording: z
    .number()
    .nonnegative()
    .default(0)
    .describe(
      'with --preserve: how much more the part of those keys counts that differs between wordings of one fact; 1 to 30 pays in edits of one round, where edits then take what all wordings share',
    ),
  batch: count().default(100).describe('prompts per pass through the language model; never changes the result'),
  rank: count().default(256).describe('rank of the hyper-network'),
  blocks: count().default(2).describe('blocks of the hyper-network'),
  tokens: z
    .enum(['answers', 'all'])
    .optional()
    .describe('tokens whose keys are edited (default: answers for malmen, all for mend)'),
  statistics: z
    .enum(statisticsChoices)
    .default('layer')
    .describe(
      'whose mean and deviation normalise a row: its layer’s own, or those of all layers of its shape (as published)',
    ),
  initialRate: z.number().positive().default(3e-3).describe('initial learned step size of every layer'),
  initialLogLambda: z.number().default(0).describe('initial log lambda'),
  metaRate: z.number().positive().default(1e-4).describe('learning rate of the hyper-network'),
  localityWeight: z.number().nonnegative().default(1).describe('factor of the locality loss'),
  maxGradientNorm: z.number().positive().default(1).describe('gradients are scaled down to this norm'),
  redraw: z
    .boolean()
    .default(false)
    .describe('draw a new answer of the same relation and a new edit prompt whenever a fact comes up'),
  hyperBatch: count().default(8192).describe('rows per pass through the hyper-network; never changes the result'),
  checkpointEvery: count().default(10).describe('steps between resumable checkpoints'),
  memory,
  cache: z
    .string()
    .regex(byteSizePattern, 'a size such as 20GB or 512MiB is expected')
    .optional()
    .describe(
      'keep what lies below the first edited layer on disk by prompt, in the output folder, up to this size: never changes the result, saves time where prompts come up again and the model is large (default: compute it at every step)',
    ),
  keepCache: z.boolean().default(false).describe('leave --cache in the output folder after the last step'),
  ...common,
});

/** What `malmen edit` takes. */
export const editOptions = z.strictObject({
  ...subject,
  editor: path().describe('folder of a trained editor, or ft for plain fine-tuning of the same layers'),
  records: z.string().describe(`facts to change: ${spec}`),
  ...output,
  rounds: count()
    .optional()
    .describe('(default: as trained) times the facts are captured and solved for, each under the shift so far'),
  lambdaScale: z
    .number()
    .positive()
    .optional()
    .describe(
      '(default: as trained) factor of every lambda: above 1, with more rounds, other facts stay better in place',
    ),
  hold: z
    .number()
    .positive()
    .optional()
    .describe(
      'from the second round of a damped editor on: how much more a token counts in the solve that needs no change than one that needs all of it; 10 to 30 leave more as it was, twice the rounds make up for what they cost (default: 1)',
    ),
  keep: z
    .string()
    .optional()
    .describe(
      'facts that must stay, which say what is true (`was`): from the second round on, some are captured beside the edits, and what the shift has damaged is repaired; a KIND:PATH as for --records',
    ),
  keepWordings: z
    .boolean()
    .default(true)
    .describe(
      'keep facts of --keep in their other wordings and rephrasings too; without, in the prompt of the record alone: where all facts share the same frames of words, those then stay free for the edit',
    ),
  keepPrompts: count().default(1000).describe('prompts drawn for each round, of --keep and --keep-made-up together'),
  keepMadeUp: z
    .int()
    .nonnegative()
    .default(0)
    .describe(
      'so many prompts of --keep about made-up subjects (tokens of the vocabulary) stay too, under what the model says of them before the edit: it then spares subjects that nobody named; takes more rounds',
    ),
  borrowWordings: z
    .int()
    .nonnegative()
    .default(0)
    .describe(
      'tell each fact in so many other wordings too: those in which facts of --keep of the same relation (or, where a record states none, facts asked in the same words) are asked, with its own subject; never one that it is judged by',
    ),
  ease: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe(
      'in the end scale the shift down as far as it costs at most this share of those facts that took (0.01: one in a hundred), by their own prompts: other facts then stay better in place, and rephrasings are understood a little less (0: the whole shift)',
    ),
  layers: layers.describe('layers to fine-tune (only with --editor ft)'),
  batch: count().default(100).describe('prompts per pass through the language model'),
  ftSteps: count().default(20).describe('fine-tuning steps over all facts (only with --editor ft)'),
  ftRate: z.number().positive().default(1e-3).describe('fine-tuning learning rate (only with --editor ft)'),
  generate: z.boolean().default(true).describe('also generate freely before and after'),
  generateFacts: count().optional().describe('generate for the first so many facts only (default: for all)'),
  spool: z
    .boolean()
    .default(true)
    .describe(
      'let captured rows wait on the disk of the output where one layer’s equation at a time saves memory; the edit is the same to the bit',
    ),
  memory,
  ...common,
});

/** What `malmen eval` takes. */
export const evalOptions = z.strictObject({
  ...subject,
  shift: path().optional().describe('shift.safetensors to apply'),
  records: z.string().describe(`facts to ask: ${spec}`),
  out: path().optional().describe('file for a row per fact (JSON lines)'),
  report: path().optional().describe('file for the report (HTML)'),
  batch: count().default(100).describe('prompts per pass through the language model'),
  generate: z.boolean().default(true).describe('also generate freely'),
  probabilities: z
    .boolean()
    .optional()
    .describe(
      'also compare the probabilities of new and true answers, as CounterFact does (default: for counterfact: data)',
    ),
  generateFacts: count().optional().describe('generate for the first so many facts only (default: for all)'),
  memory,
  ...common,
});

/** What `malmen init` takes. */
export const initOptions = z.strictObject({
  path: path().default('.').describe('folder for facts.csv and edit.yaml, or the .csv or .jsonl file to write'),
});

/** What `malmen check` takes. */
export const checkOptions = z.strictObject({
  records: z.string().describe(`facts to check: ${spec}`),
  model: path()
    .optional()
    .describe('Hugging Face folder of a language model: also find what is too long for it and what it knows already'),
  batch: count().default(100).describe('prompts per pass through the language model'),
  device: common.device,
  threads: common.threads,
});

/** What `malmen ask` takes. */
export const askOptions = z.strictObject({
  ...subject,
  prompt: z.string().min(1).describe('the beginning of a sentence'),
  shift: path().optional().describe('shift.safetensors to apply: the answer after comes beside the one before'),
  maxTokens: count().default(24).describe('tokens to generate at most'),
  temperature: z.number().nonnegative().default(0).describe('0 takes the most likely token; higher values sample'),
  topK: count().optional().describe('sample among this many most likely tokens'),
  ...common,
});

/** What `malmen inspect` takes. */
export const inspectOptions = z.strictObject({
  path: path().describe('model folder or name on the hub, editor folder, or file of weights'),
  weights: subject.weights,
  edits: count().default(1000).describe('facts of the job whose memory is estimated'),
  rank: count().default(1920).describe('rank of the hyper-network of that job'),
  batch: count().default(100).describe('prompts per pass through the language model of that job'),
});

/** What `malmen convert` takes. */
export const convertOptions = z.strictObject({
  ...subject,
  net: path().describe('hyper-networks that the published code saved (*_net.pth)'),
  optimizer: path()
    .optional()
    .describe('state of its optimizer (*_opt.pth), to continue the training with train --from'),
  editor: z.enum(['malmen', 'mend']).default('malmen').describe('the method that it was trained for'),
  layers: layers.describe(
    'its layers, in the order of the published edit_modules (default: the architecture’s choice)',
  ),
  tokens: z
    .enum(['answers', 'all'])
    .optional()
    .describe('tokens whose keys are edited (default: answers for malmen, all for mend)'),
  ...output,
  ...common,
});

/** What `malmen bench` takes. */
export const benchOptions = z.strictObject({
  what: z.enum(['step', 'edit', 'solve', 'matmul']).describe('what to measure'),
  model: path()
    .optional()
    .describe('Hugging Face folder to measure with (default: random weights of GPT-2 small shape)'),
  layers: layers.describe('layers to edit (default: the architecture’s choice)'),
  repeats: count().default(3).describe('runs; the fastest counts'),
  warmUp: z.boolean().default(true).describe('one run before those that count'),
  edits: count().default(32).describe('facts edited at once'),
  tokens: count().default(24).describe('tokens per prompt'),
  answerTokens: count().default(3).describe('answer tokens per fact'),
  rank: count().default(1920).describe('rank of the hyper-network'),
  blocks: count().default(2).describe('blocks of the hyper-network'),
  batch: count().default(32).describe('prompts per pass through the language model'),
  keySize: count().default(3072).describe('key size (bench solve)'),
  memory,
  ...common,
});

/** What `malmen demo` takes. */
export const demoOptions = z.strictObject({
  out: path().default('runs/demo').describe('folder for everything that is made'),
  force: z.boolean().default(false).describe('start over: remove what an earlier run left in the folder'),
  facts: count().default(1000).describe('facts edited at once'),
  steps: count().default(8).describe('training steps of the editor'),
  editor: z.enum(['malmen', 'mend']).default('malmen').describe('editing method'),
  wordings: z
    .int()
    .nonnegative()
    .default(1)
    .describe(
      'trained phrasings of each fact, beside its own prompt, that the rounds of the edit ask in turn; rephrasings are held out from everything (0: one prompt a fact)',
    ),
  ...common,
});

/** Parsed options of `malmen demo`. */
export type DemoOptions = z.infer<typeof demoOptions>;
/** Parsed options of `malmen fit`. */
export type FitOptions = z.infer<typeof fitOptions>;
/** Parsed options of `malmen train`. */
export type TrainOptions = z.infer<typeof trainOptions>;
/** Parsed options of `malmen edit`. */
export type EditOptions = z.infer<typeof editOptions>;
/** Parsed options of `malmen eval`. */
export type EvalOptions = z.infer<typeof evalOptions>;
/** Parsed options of `malmen init`. */
export type InitOptions = z.infer<typeof initOptions>;
/** Parsed options of `malmen check`. */
export type CheckOptions = z.infer<typeof checkOptions>;
/** Parsed options of `malmen ask`. */
export type AskOptions = z.infer<typeof askOptions>;
/** Parsed options of `malmen inspect`. */
export type InspectOptions = z.infer<typeof inspectOptions>;
/** Parsed options of `malmen convert`. */
export type ConvertOptions = z.infer<typeof convertOptions>;
/** Parsed options of `malmen bench`. */
export type BenchOptions = z.infer<typeof benchOptions>;
