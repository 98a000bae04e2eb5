// What can be said of records with a tokenizer and a context length: what is too long, and which answers cannot be written.

import type { Finding, FindingKind } from './finding.js';
import type { Example } from './record.js';
import type { PlacedRecord } from './record-reader.js';
import { answerIds, inputLength, type ModelInput, promptIds, type TextEncoders, type TokenPair } from './tuple.js';
import { verdicts } from './verdict.js';

/** What a review needs of a tokenizer. */
interface TextCoder extends TextEncoders {
  decode(lists: readonly (readonly number[])[]): Promise<readonly string[]>;
}

export interface TokenReview {
  readonly findings: readonly Finding[];
  /** Records whose edit a model can be asked. */
  readonly answerable: readonly { readonly placed: PlacedRecord; readonly pair: TokenPair }[];
}

/** A prompt of a record in tokens, its answer once more as the tokenizer writes it back. */
interface Coded {
  readonly placed: PlacedRecord;
  readonly part: string;
  readonly example: Example;
  readonly pair: TokenPair;
  readonly written: string;
  /** The answer's first token as text. */
  readonly first: string;
}

export async function reviewTokens(
  placed: readonly PlacedRecord[],
  coder: TextCoder,
  model: ModelInput,
): Promise<TokenReview> {
  const coded = await code(placed, coder, model);
  const spelling = model.kind === 'classifier' ? () => [] : unclean;
  const findings = coded.flatMap((one) => [...wrongLength(one, model), ...spelling(one)]);
  const isAnswerable = ({ part, pair }: Coded) => part === 'prompt' && lengthProblem(pair, model) === undefined;
  return { findings, answerable: coded.filter(isAnswerable) };
}

/** As `tokenizeExamples` does it, but that nothing is refused. */
async function code(placed: readonly PlacedRecord[], coder: TextCoder, { kind }: ModelInput): Promise<Coded[]> {
  const all = placed.flatMap((one) => {
    const { edit, wordings = [], rephrasings, unrelated } = one.record;
    const learnt = wordings.map((prompt) => ({ prompt, answer: edit.answer }));
    const named = (part: string) => (example: Example, at: number) => ({
      placed: one,
      part: `${part} ${at + 1}`,
      example,
    });
    return [
      { placed: one, part: 'prompt', example: edit },
      ...learnt.map(named('wording')),
      ...rephrasings.map(named('rephrasing')),
      ...unrelated.map(named('unrelated prompt')),
    ];
  });
  const texts = (part: keyof Example) => all.map(({ example }) => example[part]);
  const prompts = await promptIds(coder, kind, texts('prompt'));
  const answers = await answerIds(coder, kind, texts('answer'));
  const written = await coder.decode(answers);
  const first = await coder.decode(answers.map((ids) => ids.slice(0, 1)));
  return all.map((one, at) => ({
    ...one,
    pair: { prompt: prompts[at]!, answer: answers[at]! },
    written: written[at]!,
    first: first[at]!,
  }));
}

function finding(kind: FindingKind, { placed: { where, record }, part }: Coded, text: string): Finding {
  return { kind, where, id: record.id, text: `${part}: ${text}` };
}

function lengthProblem(pair: TokenPair, { kind, contextTokens }: ModelInput): FindingKind | undefined {
  if (pair.prompt.length === 0 || pair.answer.length === 0) return 'no answer';
  return inputLength(pair, kind) > contextTokens ? 'too long' : undefined;
}

function wrongLength(one: Coded, model: ModelInput): Finding[] {
  switch (lengthProblem(one.pair, model)) {
    case 'no answer':
      return [
        finding(
          'no answer',
          one,
          model.kind === 'classifier'
            ? `'${one.example.answer.trim()}' is no verdict; this model answers ${verdicts.join(' or ')} only`
            : 'the tokenizer makes no token of the prompt or of the answer',
        ),
      ];
    case 'too long':
      return [
        finding(
          'too long',
          one,
          `needs ${inputLength(one.pair, model.kind)} tokens with its answer, the model reads ${model.contextTokens}; shorten it`,
        ),
      ];
    default:
      return [];
  }
}

/** Spaces and case are what tokenizers may normalise. */
const plain = (text: string) => text.normalize('NFKC').toLowerCase().replaceAll(/\s+/g, '');

function unclean(one: Coded): Finding[] {
  const answer = one.example.answer.trim();
  if (plain(one.written) !== plain(answer))
    return [
      finding(
        'unknown characters',
        one,
        `the answer '${answer}' comes back from the tokenizer as '${one.written.trim()}'; spell it otherwise`,
      ),
    ];
  if (one.part !== 'prompt' || one.pair.answer.length < 2 || one.first.trim() !== '') return [];
  return [
    finding('blank token', one, `the answer '${answer}' begins with a token that is only a space, which counts in ES`),
  ];
}
