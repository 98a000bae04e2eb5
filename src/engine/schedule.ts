// The two ways in which the engine can run an editable model. Both give the same results within rounding.

/** `whole`: sessions over the whole model. `blocks`: one block at a time over mapped weights, in little memory. */
export type Schedule = 'whole' | 'blocks';

/** A schedule, and how it is run. */
export interface Running {
  readonly schedule: Schedule;
  /**
   * Whether what one block's pass has freed stays with the process for the next: faster, and at most one pass more memory. Of
   * no effect on `whole`, which does so anyway. Default: it goes back to the system at once.
   */
  readonly keepsFreed?: boolean;
}
