// The two ways in which the engine can run an editable model. Both give the same results within rounding.

/** `whole`: sessions over the whole model. `blocks`: one block at a time over mapped weights, in little memory. */
export type Schedule = 'whole' | 'blocks';
