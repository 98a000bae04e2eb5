// The linear maps of a model: their parameters, and the tap that each leaves in a forward graph. Knows no architecture.

import { gemm, parameter } from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import type { EditableLayer, ParameterSpec, Tap } from './model.js';

/** v = x W (+ b): `NAME.weight` in the layer's orientation and, where there is one, `NAME.bias` [valueSize]. */
export interface Linear extends EditableLayer {
  readonly bias: boolean;
}

/** A block's linear maps by their names in it. */
export type BlockPart = readonly [name: string, keySize: number, valueSize: number, bias: boolean];

/** The same maps in each block, block after block; `blockName` gives the name before the dot. */
export function blockLinears(
  blocks: number,
  blockName: (block: number) => string,
  orientation: EditableLayer['orientation'],
  parts: readonly BlockPart[],
): Linear[] {
  const all: Linear[] = [];
  for (let block = 0; block < blocks; block++) {
    for (const [part, keySize, valueSize, bias] of parts) {
      all.push({ name: `${blockName(block)}.${part}`, orientation, keySize, valueSize, bias });
    }
  }
  return all;
}

/** Applies the linear maps of one forward graph. */
export class Linears {
  readonly taps = new Map<string, Tap>();
  readonly #byName: ReadonlyMap<string, Linear>;

  constructor(linears: readonly Linear[]) {
    this.#byName = new Map(linears.map((linear) => [linear.name, linear]));
  }

  /** [rows, keySize] -> [rows, valueSize] */
  apply(name: string, keys: Value): Value {
    const { orientation, keySize, valueSize, bias } = this.#byName.get(name)!;
    const transposeB = orientation === 'out-in';
    const weight = parameter(`${name}.weight`, transposeB ? [valueSize, keySize] : [keySize, valueSize]);
    const plus = bias ? { plus: parameter(`${name}.bias`, [valueSize]) } : {};
    const values = gemm(keys, weight, { transposeB, ...plus });
    this.taps.set(name, { keys, values, rows: rowsOf(keys) });
    return values;
  }
}

function rowsOf({ shape: [rows] }: Value): Tap['rows'] {
  if (rows === 'answers') return 'answers';
  return rows === 'batch*decoderTokens' ? 'decoderTokens' : 'tokens';
}

/** @param deviation of the fresh weight; a fresh bias is zero */
export function linearParameters(linear: Linear, deviation: number): ParameterSpec[] {
  const { name, orientation, keySize, valueSize, bias } = linear;
  const shape = orientation === 'in-out' ? [keySize, valueSize] : [valueSize, keySize];
  return [
    { name: `${name}.weight`, shape, initial: { deviation } },
    ...(bias ? [{ name: `${name}.bias`, shape: [valueSize], initial: { constant: 0 } }] : []),
  ];
}
