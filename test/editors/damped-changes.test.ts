// Damped wanted changes against undamped ones, both in float64: what a row asks for shrinks with the error that is left, and
// keeps its direction.

import { describe, expect, it } from 'vitest';
import { networkValues, parameterShapes } from '../../src/editors/hyper-network.js';
import { dampedMalmen, malmen } from '../../src/editors/malmen.js';
import { makeProgram } from '../../src/graph/program.js';
import { Random } from '../../src/util/random.js';
import { type Feeds64, interpret, type Tensor64 } from '../graph/interpreter.js';
import { normalTensor } from '../graph/tensor64.js';

const shape = { keySize: 5, valueSize: 3, layers: 2, rank: 2, blocks: 2 };
const width = shape.keySize + shape.valueSize;
const rows = 4;

/** Gradient norms of the rows, over their root mean square: none left, half, all, and more than usual. */
const errorsLeft = [0, 0.5, 1, 3];

/** @param scaledUp rows below the usual size are given at the usual size */
function feeds(scaledUp: boolean): Feeds64 {
  const random = Random.stream(1, 'damped');
  const parameters = [...parameterShapes(shape)].map(
    ([name, dims]) => [`@${name}`, normalTensor(random, dims)] as const,
  );
  const mean = normalTensor(random, [1, width], 0.3);
  const deviation: Tensor64 = { shape: [1, width], data: new Float64Array(width).fill(0.7) };
  const own = mean.data.subarray(shape.keySize);
  const rms = Math.sqrt(own.reduce((sum, value) => sum + value ** 2 + 0.7 ** 2, 0));
  const valueGradients = new Float64Array(rows * shape.valueSize);
  for (const [row, share] of errorsLeft.entries()) {
    const size = scaledUp && share > 0 ? Math.max(1, share) : share;
    valueGradients[row * shape.valueSize + (row % 3)] = size * rms;
  }
  return {
    ...Object.fromEntries(parameters),
    keys: normalTensor(random, [rows, shape.keySize]),
    valueGradients: { shape: [rows, shape.valueSize], data: valueGradients },
    layer: { shape: [rows], data: Float64Array.of(0, 1, 0, 1) },
    mean,
    deviation,
  };
}

function changes(method: typeof malmen, scaledUp: boolean): Tensor64 {
  const program = makeProgram(method.rowOutputs(networkValues(shape, { scaledUp: method.damped })));
  return interpret(program, feeds(scaledUp)).get('changes')!;
}

describe('damped changes', () => {
  const [damped, whole] = [changes(dampedMalmen, false), changes(malmen, true)];

  it.each(errorsLeft.map((share, row) => [share, row] as const))(
    'of a row whose gradient is %f of the usual size',
    (share, row) => {
      for (let at = row * shape.valueSize; at < (row + 1) * shape.valueSize; at++) {
        expect(whole.data[at]).not.toBe(0);
        expect(damped.data[at]).toBeCloseTo(Math.min(1, share) * whole.data[at]!, 9);
      }
    },
  );
});
