// What config.json says about rotary positions, in the older spelling (`rope_theta`, `rope_scaling`) or the newer one
// (`rope_parameters`), as angles per position. Knows no model.

import { z } from 'zod';
import { MalmenError } from '../errors.js';
import { contradiction, count } from './config.js';
import { rotaryFrequencies } from './rotary.js';

// Strict: a setting that is not understood here would change what is computed.
const settings = z.strictObject({
  rope_type: z.string().optional(),
  /** The oldest name of `rope_type`. */
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  partial_rotary_factor: z.number().positive().max(1).optional(),
  factor: z.number().min(1).optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: count.optional(),
});

type Settings = z.infer<typeof settings>;

/** The keys of a configuration that {@link readRope} reads. */
export const ropeKeys = {
  rope_theta: z.number().positive().nullish(),
  rope_scaling: settings.nullish(),
  rope_parameters: settings.nullish(),
};

type RopeConfig = z.infer<z.ZodObject<typeof ropeKeys>>;

export interface RopeNeeds {
  readonly modelType: string;
  readonly headSize: number;
  /** The longest input in tokens that the configuration names. */
  readonly contextTokens: number;
  readonly defaultTheta: number;
  /** The part of a head that is turned, unless `rope_parameters` say otherwise. */
  readonly defaultPart: number;
}

export interface Rope {
  /** Angle per position of each pair; twice as many elements of each head are turned. */
  readonly frequencies: readonly number[];
  /** The longest input in tokens for which these angles hold. */
  readonly contextTokens: number;
}

/** @throws MalmenError for a scaling that is not there or lacks a setting */
export function readRope(config: RopeConfig, needs: RopeNeeds): Rope {
  const { modelType, headSize, contextTokens } = needs;
  const own = config.rope_parameters ?? config.rope_scaling ?? {};
  const part = own.partial_rotary_factor ?? needs.defaultPart;
  const size = Math.trunc(headSize * part);
  if (size % 2 !== 0 || size === 0) {
    throw contradiction(
      modelType,
      `${part} of a head of ${headSize} is ${size}; an even number of elements can be turned`,
    );
  }
  const plain = rotaryFrequencies(size, own.rope_theta ?? config.rope_theta ?? needs.defaultTheta);
  const type = own.rope_type ?? own.type ?? 'default';
  const scale = scalings[type];
  if (scale) return { contextTokens, ...scale(plain, own, modelType) };
  throw new MalmenError(
    'unsupported',
    `config.json (${modelType}): rope_type '${type}' is not supported (supported: ${Object.keys(scalings).join(', ')})`,
  );
}

type Scaling = (
  plain: readonly number[],
  own: Settings,
  modelType: string,
) => Partial<Rope> & Pick<Rope, 'frequencies'>;

const scalings: Readonly<Record<string, Scaling>> = {
  default: (frequencies) => ({ frequencies }),
  linear(plain, own, modelType) {
    const factor = required(own, 'factor', modelType);
    return { frequencies: plain.map((frequency) => frequency / factor) };
  },
  // Beyond the trained length the angles would depend on the length of the input; up to it they are the plain ones.
  dynamic: (frequencies, { original_max_position_embeddings: trained }) =>
    trained === undefined ? { frequencies } : { frequencies, contextTokens: trained },
  llama3: (plain, own, modelType) => ({ frequencies: llama3Frequencies(plain, own, modelType) }),
};

/**
 * Llama 3.1: pairs that turn fewer than `low_freq_factor` times over the trained length turn `factor` times slower, those
 * that turn more than `high_freq_factor` times are left alone, between the two it goes over linearly.
 */
function llama3Frequencies(plain: readonly number[], own: Settings, modelType: string): number[] {
  const factor = required(own, 'factor', modelType);
  const low = required(own, 'low_freq_factor', modelType);
  const high = required(own, 'high_freq_factor', modelType);
  const trainedTokens = required(own, 'original_max_position_embeddings', modelType);
  if (low >= high) {
    throw contradiction(modelType, `low_freq_factor (${low}) must be less than high_freq_factor (${high})`);
  }
  return plain.map((frequency) => {
    const turns = (trainedTokens * frequency) / (2 * Math.PI);
    const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return kept * frequency + ((1 - kept) * frequency) / factor;
  });
}

type NumericKey = { [K in keyof Settings]: Settings[K] extends number | undefined ? K : never }[keyof Settings];

function required(own: Settings, key: NumericKey & string, modelType: string): number {
  const value = own[key];
  if (value !== undefined) return value;
  throw contradiction(modelType, `rope_type '${own.rope_type ?? own.type}' needs '${key}'`);
}
