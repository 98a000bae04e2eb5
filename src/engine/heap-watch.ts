// Gives back to the system what lies unused between the blocks in use, once that has become much. Knows no session.

import { residentMemory } from '../util/memory-watch.js';
import { freedBlocksSlack, returnFreedBlocks } from './allocator.js';

/** Runs from one look to the next: a look takes as long as the smallest run. */
const runsBetween = 16;
/**
 * Within a limit. Freed blocks serve the next ones of their size; where sizes change from batch to batch, or what sessions keep
 * for themselves comes to lie among them, fewer and fewer do: the sessions for T5-XL's blocks left 0.9 GB of holes. Giving them
 * back is not for every turn, since fresh pages cost up to 3 s a GB.
 */
export class HeapWatch {
  #runs = 0;
  /** The least anonymous memory besides the residents since it was given back. */
  #least = Number.POSITIVE_INFINITY;

  /**
   * To be called after each run.
   * @param residentBytes what the caller holds; asked for only when it is time to look
   */
  async look(residentBytes: () => Promise<number>): Promise<void> {
    const slack = freedBlocksSlack();
    if (slack === undefined || ++this.#runs % runsBetween !== 0) return;
    const held = await residentBytes();
    const besides = () => residentMemory().anonymous - held;
    const now = besides();
    this.#least = Math.min(this.#least, now);
    if (now - this.#least <= slack) return;
    returnFreedBlocks();
    this.#least = besides();
  }
}
