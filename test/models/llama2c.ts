// Models in the layout of llama2.c (one file of float32, one of the vocabulary) as Hugging Face folders.

import { readFileSync } from 'node:fs';
import { saveNewModel } from '../../src/checkpoint/save-model.js';
import { f32, type TensorOf } from '../../src/tensor.js';

/** The header, seven int32. */
function readConfig(file: Buffer) {
  const [dim, hidden, layers, heads, keyValueHeads, vocabulary, context] = Array.from({ length: 7 }, (_, at) =>
    file.readInt32LE(4 * at),
  ) as [number, number, number, number, number, number, number];
  return { dim, hidden, layers, heads, keyValueHeads, vocabulary, context };
}

/** Takes a file's floats one after another. */
class Floats {
  readonly #data: Float32Array;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#data = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  }

  take(shape: readonly number[]): TensorOf<'f32'> {
    const count = shape.reduce((product, size) => product * size, 1);
    this.#at += count;
    return f32(this.#data.slice(this.#at - count, this.#at), shape);
  }
}

/** The layout turns neighbouring elements of a head, Hugging Face's the two halves: row 2i + j of a head becomes row j n/2 + i. */
function halves({ data, shape }: TensorOf<'f32'>, headSize: number): TensorOf<'f32'> {
  const [rows, columns] = shape as [number, number];
  const turned = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    const [start, within] = [row - (row % headSize), row % headSize];
    const to = start + (within % 2) * (headSize / 2) + Math.floor(within / 2);
    turned.set(data.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return f32(turned, shape);
}

/** @param vocabularyFile pieces with scores: the higher the score of a piece, the earlier its parts are joined */
export async function convertLlama2c(weightsFile: string, vocabularyFile: string, folder: string): Promise<void> {
  const file = readFileSync(weightsFile);
  const { dim, hidden, layers, heads, keyValueHeads, vocabulary, context } = readConfig(file);
  const floats = new Floats(file.subarray(7 * 4));
  const headSize = dim / heads;
  const keyValue = keyValueHeads * headSize;
  const tensors = new Map<string, TensorOf<'f32'>>();
  const each = (name: string, shape: readonly number[], turn = (x: TensorOf<'f32'>) => x) => {
    for (let layer = 0; layer < layers; layer++) {
      tensors.set(`model.layers.${layer}.${name}.weight`, turn(floats.take(shape)));
    }
  };
  tensors.set('model.embed_tokens.weight', floats.take([vocabulary, dim]));
  each('input_layernorm', [dim]);
  each('self_attn.q_proj', [dim, dim], (x) => halves(x, headSize));
  each('self_attn.k_proj', [keyValue, dim], (x) => halves(x, headSize));
  each('self_attn.v_proj', [keyValue, dim]);
  each('self_attn.o_proj', [dim, dim]);
  each('post_attention_layernorm', [dim]);
  each('mlp.gate_proj', [hidden, dim]);
  each('mlp.down_proj', [dim, hidden]);
  each('mlp.up_proj', [hidden, dim]);
  tensors.set('model.norm.weight', floats.take([dim]));
  const config = {
    model_type: 'llama',
    vocab_size: vocabulary,
    hidden_size: dim,
    intermediate_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
    max_position_embeddings: context,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
    eos_token_id: 2,
  };
  const files = new Map([['tokenizer.json', tokenizerJson(readPieces(vocabularyFile))]]);
  await saveNewModel(folder, { config, tensors, files });
}

interface Piece {
  readonly text: string;
  readonly score: number;
}

/** After an int32 with the longest length: score, length, bytes of each. Ids 0 to 2 are special, then every byte. */
function readPieces(path: string): Piece[] {
  const file = readFileSync(path);
  const pieces: Piece[] = [];
  for (let at = 4; at < file.length; ) {
    const [score, length] = [file.readFloatLE(at), file.readInt32LE(at + 4)];
    pieces.push({ score, text: file.toString('utf8', at + 8, at + 8 + length) });
    at += 8 + length;
  }
  return pieces;
}

const specials = ['<unk>', '<s>', '</s>'];
const space = '\u2581';

function tokenizerJson(pieces: readonly Piece[]): string {
  const tokens = pieces.map(({ text }, id) => specials[id] ?? text.replaceAll(' ', space));
  return JSON.stringify({
    version: '1.0',
    added_tokens: specials.map((content, id) => {
      return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
    }),
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: space },
        { type: 'Replace', pattern: { String: ' ' }, content: space },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
      special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: space }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges(tokens, pieces),
    },
  });
}

/** Every pair of pieces that makes a piece, the one with the highest score first. */
function merges(tokens: readonly string[], pieces: readonly Piece[]): [string, string][] {
  const known = new Set(tokens);
  const order = tokens.map((_, id) => id).filter((id) => id >= specials.length + 256);
  order.sort((a, b) => pieces[b]!.score - pieces[a]!.score);
  return order.flatMap((id) => {
    const letters = [...tokens[id]!];
    const cuts = letters
      .slice(1)
      .map((_, at): [string, string] => [letters.slice(0, at + 1).join(''), letters.slice(at + 1).join('')]);
    return cuts.filter(([left, right]) => known.has(left) && known.has(right));
  });
}
