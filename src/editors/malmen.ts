// MALMEN (Tan, Zhang and Fu, ICLR 2024): each row asks for an output change; a regularised least-squares problem makes the
// one shift that answers all of them.

import type { Resident } from '../engine/runtime.js';
import * as b from '../graph/build.js';
import type { Value } from '../graph/ops.js';
import type { MatrixOps } from '../linalg/matrix-ops.js';
import {
  type NormalEquation,
  type SolvedShift as NormalSolution,
  openNormalEquation,
} from '../linalg/normal-equation.js';
import type { NetworkValues } from './hyper-network.js';
import type { MetaMethod, ShiftAccumulator, SolvedShift } from './meta-method.js';
import { inWhiteBasis, isCheaperInWhiteBasis } from './white-basis.js';

/** d_j = -lr (k_j . k~_j) g~_j, [rows, valueSize] */
function wantedChanges({ keys, pseudoKeys, pseudoGradients, learningRate }: NetworkValues): Value {
  const agreement = b.reduceSum(b.mul(keys, pseudoKeys), [1], true); // [rows, 1]
  return b.mul(b.negate(b.mul(learningRate, agreement)), pseudoGradients);
}

/**
 * min(1, |g_j| / sqrt(E |g|^2)) d_j. The network sees normalised gradients and asks for much even where next to nothing is
 * wrong any more; damped, a token that gives its answer asks for nothing, so rounds settle instead of adding noise.
 */
function dampedChanges(network: NetworkValues): Value {
  return b.mul(network.errorLeft, wantedChanges(network));
}

/**
 * Rows of S = (K^T W K + lambda C)^-1 K^T D with weights w = hold + (1 - hold) errorLeft: keys times the root of w, changes
 * through it. Each row pulls as it did; one that asks for nothing resists `hold` times as much as one that asks for all of its
 * change, or what stands would give way to the many that do not.
 */
function heldRows(network: NetworkValues, hold: number): { readonly keys: Value; readonly changes: Value } {
  const root = b.sqrt(b.add(hold, b.mul(1 - hold, network.errorLeft))); // [rows, 1]
  return { keys: b.mul(root, network.keys), changes: b.div(dampedChanges(network), root) };
}

/** As published, every wanted change counts in full. */
export const malmen = method(wantedChanges, false);

/** MALMEN whose wanted changes shrink with the error that is left: for editors that take several rounds. */
export const dampedMalmen = method(dampedChanges, true);

function method(changesOf: (network: NetworkValues) => Value, damped: boolean): MetaMethod {
  return {
    name: 'malmen',
    hasLambda: true,
    damped,
    rowOutputs: (network, hold = 1) =>
      damped && hold !== 1 ? heldRows(network, hold) : { changes: changesOf(network) },
    lessonInput: { name: 'changeGradient', per: 'row' },
    seeds: (network) => {
      const changes = changesOf(network);
      return [{ value: changes, cotangent: b.input('changeGradient', changes.shape) }];
    },
    /** S = (K^T K + lambda C)^-1 K^T D; dL/dD = K (K^T K + lambda C)^-1 dL/dS; C the identity or the preserved keys' moment. */
    accumulate(ops, { layer, preserved, ...sizes }) {
      const options = { module: layer, ...sizes };
      if (!preserved) return asAccumulator(ops, openNormalEquation(ops, options));
      if (isCheaperInWhiteBasis(sizes)) {
        return inWhiteBasis(ops, asAccumulator(ops, openNormalEquation(ops, options)), preserved);
      }
      return asAccumulator(ops, openNormalEquation(ops, { ...options, penalty: preserved.moment }));
    },
  };
}

function asAccumulator(ops: MatrixOps<Resident>, equation: NormalEquation<Resident>): ShiftAccumulator {
  return {
    add: (keys, { changes }) => equation.add(keys, changes!),
    solve: async () => asSolvedShift(ops, await equation.solve()),
    release: () => equation.release(),
  };
}

function asSolvedShift(ops: MatrixOps<Resident>, solved: NormalSolution<Resident>): SolvedShift {
  return {
    shift: solved.shift,
    async learn(weightGradient) {
      const meta = await solved.metaGradient(weightGradient);
      ops.release(weightGradient);
      return {
        lambdaGradient: meta.lambdaGradient,
        readsKeys: solved.form === 'primal',
        feed: async (keys, firstRow) => ({ tensor: await meta.changeGradient(keys, firstRow), owned: true }),
        release: () => meta.release(),
      };
    },
    takeShift: () => solved.takeShift(),
    release: () => solved.release(),
  };
}
