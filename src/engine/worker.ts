// The worker thread of the engine: answers the calls of `open-runtime.ts` with a session host.

import { parentPort, workerData } from 'node:worker_threads';
import { MalmenError } from '../errors.js';
import type { WorkerAnswer, WorkerCall } from './open-runtime.js';
import { type HostOptions, SessionHost } from './session-host.js';

const port = parentPort!;

/** Typed arrays that leave this thread for good are moved, not copied. */
function movable(result: unknown): ArrayBuffer[] {
  const arrays = Array.isArray(result) ? result : [result];
  return arrays.filter((item) => ArrayBuffer.isView(item)).map((view) => view.buffer as ArrayBuffer);
}

function describe(error: unknown): NonNullable<WorkerAnswer['error']> {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return { message, ...(stack ? { stack } : {}), ...(error instanceof MalmenError ? { code: error.code } : {}) };
}

async function answer(host: SessionHost, { call, method, parameters }: WorkerCall): Promise<void> {
  try {
    const perform = host[method] as (...parameters: readonly unknown[]) => unknown;
    const result = await perform.apply(host, [...parameters]);
    port.postMessage({ call, result } satisfies WorkerAnswer, movable(result));
  } catch (error) {
    port.postMessage({ call, error: describe(error) } satisfies WorkerAnswer);
  }
}

async function start(): Promise<void> {
  try {
    const host = await SessionHost.start(workerData as HostOptions);
    // One call after another: a session uses every core by itself, and releases must not overtake runs.
    let last: Promise<void> = Promise.resolve();
    port.on('message', (call: WorkerCall) => {
      last = last.then(() => answer(host, call));
    });
    port.postMessage({ call: 0 } satisfies WorkerAnswer);
  } catch (error) {
    port.postMessage({ call: 0, error: describe(error) } satisfies WorkerAnswer);
  }
}

await start();
