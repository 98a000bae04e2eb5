// Giving memory back to the system at once. Knows nothing of what was in it.

import { MessageChannel } from 'node:worker_threads';

const { port1: closedPort } = new MessageChannel();
closedPort.close();

/**
 * Frees the whole buffer behind a typed array, which is empty afterwards. What is merely dropped waits for the garbage
 * collector, which sees large arrays too late to keep a bound on memory; what is moved to a closed port is free when the call
 * returns, the one way that Node has.
 */
export function freeMemory({ buffer }: ArrayBufferView): void {
  closedPort.postMessage(null, [buffer as ArrayBuffer]);
}
