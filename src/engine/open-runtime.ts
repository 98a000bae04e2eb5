// Opens a runtime: behind a worker thread, so that the caller's event loop stays free, or in this thread for small tests.

import { Worker } from 'node:worker_threads';
import { type ErrorCode, MalmenError } from '../errors.js';
import { keepFreedBlocks, returnFreedBlocks } from './allocator.js';
import { type AsyncHost, HostedRuntime } from './hosted-runtime.js';
import type { Runtime } from './runtime.js';
import { type HostOptions, SessionHost } from './session-host.js';

export interface RuntimeOptions extends HostOptions {
  /** Compute in the calling thread: no copies between threads, but the event loop waits. Default: a worker. */
  readonly inThread?: boolean;
}

/** What goes to the worker. */
export interface WorkerCall {
  readonly call: number;
  readonly method: keyof AsyncHost;
  readonly parameters: readonly unknown[];
}

/** What comes back. */
export interface WorkerAnswer {
  readonly call: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string; readonly stack?: string; readonly code?: ErrorCode };
}

/** @throws MalmenError `unsupported` when the device is not there. */
export async function openRuntime({ inThread = false, ...options }: RuntimeOptions): Promise<Runtime> {
  keepFreedBlocks();
  if (inThread) return new HostedRuntime(options.device, await SessionHost.start(options));
  const host = new WorkerHost(options);
  await host.ready;
  return new HostedRuntime(options.device, host);
}

// The built file, also when this one runs from source (tests): worker threads take no TypeScript.
const workerFile = new URL('../../dist/engine/worker.js', import.meta.url);

class WorkerHost implements AsyncHost {
  readonly ready: Promise<void>;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve(result: unknown): void; reject(error: unknown): void }>();
  #calls = 0;
  #ended: Error | undefined;

  constructor(options: HostOptions) {
    this.#worker = new Worker(workerFile, { workerData: options });
    this.#worker.on('message', (answer: WorkerAnswer) => this.#settle(answer));
    this.#worker.on('error', (error) => this.#end(error));
    this.#worker.on('exit', (code) => this.#end(new Error(`the engine's worker ended (exit code ${code})`)));
    this.ready = this.#wait(0) as Promise<void>;
  }

  open: AsyncHost['open'] = (...parameters) => this.#call('open', parameters) as Promise<void>;
  run: AsyncHost['run'] = (...parameters) => this.#call('run', parameters) as ReturnType<AsyncHost['run']>;
  upload: AsyncHost['upload'] = (id, data) =>
    this.#call('upload', [id, data], [data.buffer as ArrayBuffer]) as Promise<void>;
  download: AsyncHost['download'] = (...parameters) =>
    this.#call('download', parameters) as ReturnType<AsyncHost['download']>;
  share: AsyncHost['share'] = (...parameters) => this.#call('share', parameters) as Promise<void>;
  memory: AsyncHost['memory'] = () => this.#call('memory', []) as ReturnType<AsyncHost['memory']>;

  async trim(): Promise<void> {
    await this.#call('trim', []);
    returnFreedBlocks();
  }

  release: AsyncHost['release'] = (...parameters) => {
    // Nobody waits for a release: after the end of the worker there is nothing left to free.
    if (!this.#ended) void this.#call('release', parameters);
  };

  async close(): Promise<void> {
    if (this.#ended) return;
    await this.#call('close', []);
    this.#end(new Error('the engine is closed'));
    await this.#worker.terminate();
    returnFreedBlocks();
  }

  #call(method: keyof AsyncHost, parameters: readonly unknown[], move: ArrayBuffer[] = []): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#ended);
    const call = ++this.#calls;
    const answer = this.#wait(call);
    this.#worker.postMessage({ call, method, parameters } satisfies WorkerCall, move);
    return answer;
  }

  #wait(call: number): Promise<unknown> {
    return new Promise((resolve, reject) => this.#waiting.set(call, { resolve, reject }));
  }

  #settle({ call, result, error }: WorkerAnswer): void {
    const waiting = this.#waiting.get(call);
    this.#waiting.delete(call);
    if (error) waiting?.reject(revive(error));
    else waiting?.resolve(result);
  }

  #end(reason: Error): void {
    this.#ended ??= reason;
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }
}

function revive({ message, stack, code }: NonNullable<WorkerAnswer['error']>): Error {
  const error = code ? new MalmenError(code, message) : new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
