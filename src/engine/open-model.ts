// What an editable model needs of the language model it belongs to.

import type { ModelDefinition } from '../models/model.js';
import type { TensorOf } from '../tensor.js';
import type { Resident, Runtime, WeightBinding } from './runtime.js';

/** What an editable model needs of the language model it belongs to. */
export interface OpenModel {
  readonly definition: ModelDefinition;
  readonly runtime: Runtime;
  /** How programs find weights when those that `fed` names are given with each run. @internal */
  binding(fed: (parameter: string) => boolean): WeightBinding;
  /** Whether a weight is stored as programs compute: 16-bit weights stay mapped and are cast where they are used. @internal */
  isFloat32(parameter: string): boolean;
  /** Whether programs can map a weight from its file; any other is given with each run, as float32. @internal */
  isMapped(parameter: string): boolean;
  /** A weight as a resident, shared by all programs. @internal */
  residentWeight(parameter: string): Promise<Resident>;
  /** One parameter as float32, in the checkpoint's layout. */
  read(parameter: string): Promise<TensorOf<'f32'>>;
}
