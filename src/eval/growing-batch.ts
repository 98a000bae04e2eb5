// Sequences that are written token by token. Each step reads the newest token of each; what attention needs of those before is
// remembered beside the runtime. Knows no end and no choice of tokens.

import { type BatchOptions, decoderBatch } from '../data/batch.js';
import type { EditableModel, LayerTensors, Memory, ModelBatch } from '../engine/editable-model.js';
import { f32, i64, type TensorOf } from '../tensor.js';

/** Close it when done. */
export class GrowingBatch {
  readonly #model: EditableModel;
  readonly #weights: LayerTensors;
  /** Tokens of each sequence so far. */
  readonly #lengths: number[];
  /** [sequences, all tokens], row by row: 1 = real */
  #mask: readonly number[];
  #unread: ModelBatch;
  #memory: Memory | undefined;

  /** @param padding which side, and with which token; what is padded does not matter to what is written */
  constructor(
    model: EditableModel,
    weights: LayerTensors,
    prompts: readonly (readonly number[])[],
    padding: Pick<BatchOptions, 'padSide' | 'padId'> = {},
  ) {
    this.#model = model;
    this.#weights = weights;
    this.#lengths = prompts.map(({ length }) => length);
    // One answer token: the row of each sequence's last token is asked, whatever its label.
    const batch = decoderBatch(
      prompts.map((prompt) => ({ prompt, answer: [0] })),
      padding,
    );
    this.#mask = [...batch.tensors.attentionMask.data];
    this.#unread = batch;
  }

  /** The most likely next token of each sequence. */
  async predict(): Promise<number[]> {
    return Array.from((await this.#read('predicted')).data, Number);
  }

  /** [sequences, vocabulary] */
  logits(): Promise<TensorOf<'f32'>> {
    return this.#read('logits');
  }

  async #read<K extends 'predicted' | 'logits'>(output: K) {
    const memory = this.#memory;
    this.#memory = undefined;
    const step = await this.#model.step(this.#unread, this.#weights, output, memory);
    this.#memory = step.memory;
    return step.said;
  }

  /** One more token for each sequence; those that have come to their end take any, which does not matter to the others. */
  append(tokens: readonly number[]): void {
    const count = tokens.length;
    const context = this.#mask.length / count + 1;
    this.#mask = tokens.flatMap((_, row) => [...this.#mask.slice(row * (context - 1), (row + 1) * (context - 1)), 1]);
    const lastPosition = this.#model.model.definition.contextTokens - 1;
    const positions = this.#lengths.map((length) => Math.min(length, lastPosition));
    this.#unread = {
      tensors: {
        tokenIds: i64(tokens, [count, 1]),
        positions: i64(positions, [count, 1]),
        attentionMask: f32(this.#mask, [count, context]),
        answerRows: i64(
          tokens.map((_, row) => row),
          [count],
        ),
      },
    };
    for (const row of this.#lengths.keys()) this.#lengths[row]!++;
  }

  close(): void {
    if (this.#memory) this.#model.runtime.release(...this.#memory.values());
    this.#memory = undefined;
  }
}
