// The two ways in which the engine can run an editable model. Both give the same results within rounding.

/** `whole`: sessions over the whole model. `blocks`: one block at a time over mapped weights, in little memory. */
export type Schedule = 'whole' | 'blocks';

/** A schedule, and how it is run. */
export interface Running {
  readonly schedule: Schedule;
  /**
   * Within a limit of memory, how much of what was freed may stay with the process for what comes next. Block after block, next
   * to nothing stays where it is 0 (the default), else what one block's pass has freed serves the next: faster. Over the whole
   * model there is no limit unless said.
   */
  readonly keepsFreedBytes?: number;
}
