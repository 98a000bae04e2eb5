// MEND (Mitchell et al., ICLR 2022): the shift is the sum of the rows' own rank-one gradients, made over by the network.

import type { Resident } from '../engine/runtime.js';
import * as b from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import type { NetworkValues } from './hyper-network.js';
import type { MetaMethod } from './meta-method.js';

/** -lr g~, [rows, valueSize] */
function steps({ pseudoGradients, learningRate }: NetworkValues): Value {
  return b.mul(b.negate(learningRate), pseudoGradients);
}

export const mend: MetaMethod = {
  name: 'mend',
  hasLambda: false,
  damped: false,
  rowOutputs: (network) => ({ pseudoKeys: network.pseudoKeys, changes: steps(network) }),
  lessonInput: { name: 'weightGradient', per: 'layer' },
  /** S = sum_j k~_j^T c_j, so with G = dL/dS: dL/dk~ = c G^T and dL/dc = k~ G. */
  seeds: (network) => {
    const changes = steps(network);
    const gradient = b.input('weightGradient', [network.pseudoKeys.shape[1]!, changes.shape[1]!]);
    return [
      { value: network.pseudoKeys, cotangent: b.gemm(changes, gradient, { transposeB: true }) },
      { value: changes, cotangent: b.gemm(network.pseudoKeys, gradient) },
    ];
  },
  accumulate(ops, { keySize, valueSize }) {
    let sum: Resident | undefined;
    return {
      async add(_, { pseudoKeys, changes }) {
        if (sum) await ops.addProduct(sum, pseudoKeys!, changes!, { transposeA: true });
        else sum = await ops.multiply(pseudoKeys!, changes!, { transposeA: true });
      },
      async solve() {
        const shift =
          sum ??
          (await ops.upload({
            dtype: 'f32',
            shape: [keySize, valueSize],
            data: new Float32Array(keySize * valueSize),
          }));
        return {
          shift,
          learn: async (weightGradient) => ({
            lambdaGradient: 0,
            readsKeys: false,
            feed: async () => ({ tensor: weightGradient, owned: false }),
            release: () => ops.release(weightGradient),
          }),
          takeShift: () => shift,
          release: () => ops.release(shift),
        };
      },
      release() {
        if (sum) ops.release(sum);
      },
    };
  },
};
