// What a shift should leave alone, as the solve sees it: the second moment of a layer's keys at prompts whose answers stay.

import type { Resident } from '../engine/runtime.js';
import type { MatrixOps } from '../linalg/matrix-ops.js';
import { whitening } from '../linalg/whitening.js';

/** Of one layer: the moment, and the basis in which it is the identity, made when it is first needed. */
export class PreservedKeys {
  readonly #layer: string;
  #basis: Resident | undefined;

  /** C, [keySize, keySize], symmetric positive definite: its ridge is in it. */
  readonly moment: Resident;

  /** @param layer for messages; `moment` is this object's from now on */
  constructor(layer: string, moment: Resident) {
    this.#layer = layer;
    this.moment = moment;
  }

  /**
   * W with W^T C W = I, [keySize, keySize], upper triangular; stays this object's.
   * @throws MalmenError 'not-positive-definite'
   */
  async basis(ops: MatrixOps<Resident>): Promise<Resident> {
    this.#basis ??= await whitening(ops, this.moment, this.#layer);
    return this.#basis;
  }

  release(ops: MatrixOps<Resident>): void {
    ops.release(this.moment, ...(this.#basis ? [this.#basis] : []));
  }
}

/** By layer name; empty as published. */
export type PreservedByLayer = ReadonlyMap<string, PreservedKeys>;
