// The hub's protocol: what a revision of a model holds, what a file is, and its bytes. Knows no cache and writes no file.

import { MalmenError } from '../../errors.js';
import type { HubId } from './hub-id.js';
import { type RetryOptions, retrying, TransientError } from './retry.js';

export interface HubClientOptions extends RetryOptions {
  readonly endpoint: string;
  readonly token: string | undefined;
}

export interface Revision {
  readonly commit: string;
  /** Names of all files. */
  readonly files: readonly string[];
}

export interface RemoteFile {
  readonly name: string;
  /** sha256 of a large file (64 digits), git's sha1 of a small one (40). */
  readonly hash: string;
  readonly bytes: number;
}

/** A server that sends nothing for so long is taken for gone. */
const silenceMs = 60_000;
const mostRedirects = 5;

export class HubClient {
  readonly #model: HubId;
  readonly #options: HubClientOptions;

  constructor(model: HubId, options: HubClientOptions) {
    this.#model = model;
    this.#options = options;
  }

  get retry(): RetryOptions {
    return this.#options;
  }

  /** @throws MalmenError `not-found`, `unreachable`, or `bad-input` for an answer that is none */
  async revision(): Promise<Revision> {
    const { id, revision } = this.#model;
    const url = `${this.#options.endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}`;
    return this.#again(async () => {
      const response = await this.#ask(url, {});
      const text = await response.text().catch((error) => {
        throw new TransientError(`${url}: the connection was lost`, undefined, { cause: error });
      });
      return parseRevision(url, text);
    });
  }

  /** What the hub says of a file, without its bytes. */
  async file(commit: string, name: string): Promise<RemoteFile> {
    const url = this.#resolve(commit, name);
    return this.#again(async () => {
      const { headers } = await this.#head(url);
      const hash = (headers.get('x-linked-etag') ?? headers.get('etag') ?? '').replace(/^W\//, '').replaceAll('"', '');
      const bytes = Number(headers.get('x-linked-size') ?? headers.get('content-length') ?? Number.NaN);
      if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(hash) || !Number.isSafeInteger(bytes)) {
        throw new MalmenError(
          'bad-input',
          `${url}: the answer does not say what the file is (ETag '${hash.slice(0, 80)}', ${bytes} bytes); expected a sha1 or sha256 and a size. Is ${this.#options.endpoint} a model hub?`,
        );
      }
      return { name, hash, bytes };
    });
  }

  /** The bytes of a file from a position on. 206 means they start there, 200 that they start at 0. */
  async bytes(commit: string, name: string, from: number): Promise<Response> {
    const range: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
    return this.#ask(this.#resolve(commit, name), { headers: range });
  }

  #resolve(commit: string, name: string): string {
    const path = name.split('/').map(encodeURIComponent).join('/');
    return `${this.#options.endpoint}/${this.#model.id}/resolve/${commit}/${path}`;
  }

  /** Follows redirects on the hub itself (a model that was renamed); one to a storage carries the answer. */
  async #head(start: string): Promise<Response> {
    let url = start;
    for (let redirects = 0; redirects <= mostRedirects; redirects++) {
      const response = await this.#ask(url, { method: 'HEAD', redirect: 'manual' });
      const location = response.headers.get('location');
      if (response.status < 300 || location === null || response.headers.has('x-linked-etag')) return response;
      url = new URL(location, url).href;
    }
    throw new MalmenError('bad-input', `${start}: more than ${mostRedirects} redirects`);
  }

  async #again<T>(attempt: () => Promise<T>): Promise<T> {
    return retrying(attempt, this.#options).catch((error) => {
      throw unreachable(error);
    });
  }

  async #ask(url: string, init: RequestInit): Promise<Response> {
    const { token, signal } = this.#options;
    const own: Record<string, string> = { 'user-agent': 'malmen', 'accept-encoding': 'identity' };
    // The token is for the hub alone; fetch leaves it out when a redirect leads elsewhere.
    const isHub = new URL(url).origin === new URL(this.#options.endpoint).origin;
    if (token !== undefined && isHub) own.authorization = `Bearer ${token}`;
    const patience = AbortSignal.any([signal, AbortSignal.timeout(silenceMs)]);
    const isBody = init.method !== 'HEAD';
    const request = { ...init, headers: { ...own, ...init.headers }, signal: isBody ? signal : patience };
    const response = await fetch(url, request).catch((error) => {
      signal.throwIfAborted();
      throw new TransientError(`${url}: ${reasonOf(error)}`, undefined, { cause: error });
    });
    if (response.ok || (response.status >= 300 && response.status < 400)) return response;
    await response.body?.cancel().catch(() => {});
    throw this.#refused(url, response);
  }

  #refused(url: string, { status, headers }: Response): Error {
    const { id, revision } = this.#model;
    const { endpoint, token } = this.#options;
    if (status === 429 || status >= 500) {
      const seconds = Number(headers.get('retry-after') ?? Number.NaN);
      return new TransientError(`${url}: HTTP ${status}`, Number.isFinite(seconds) ? seconds * 1000 : undefined);
    }
    const error = headers.get('x-error-code');
    if (error === 'RevisionNotFound')
      return new MalmenError('not-found', `${endpoint}: ${id} has no revision '${revision}'`);
    if (error === 'GatedRepo' || status === 403) {
      return new MalmenError(
        'not-found',
        `${endpoint}: access to ${id} is refused (HTTP ${status}); ask for it on the model's page, then set HF_TOKEN to a token of your account`,
      );
    }
    if (status === 401) {
      const advice = token === undefined ? 'if it is private, set HF_TOKEN' : 'HF_TOKEN does not open it';
      return new MalmenError(
        'not-found',
        `${endpoint}: no model ${id} that anybody may read (HTTP 401); check the name; ${advice}`,
      );
    }
    if (status === 416) return new TransientError(`${url}: HTTP 416`);
    return new MalmenError(
      'not-found',
      `${url}: HTTP ${status}; check the model's name, ${id}, and its revision, ${revision}`,
    );
  }
}

function parseRevision(url: string, text: string): Revision {
  const answer = parseJson(text) as { sha?: unknown; siblings?: unknown } | undefined;
  const siblings = Array.isArray(answer?.siblings)
    ? (answer.siblings as readonly { rfilename?: unknown }[])
    : undefined;
  const files = siblings?.map((sibling) => sibling?.rfilename).filter((name) => typeof name === 'string');
  if (typeof answer?.sha === 'string' && /^[0-9a-f]{40}$/.test(answer.sha) && files && files.length > 0) {
    return { commit: answer.sha, files };
  }
  const what = /^\s*</.test(text) ? 'a web page' : `'${text.slice(0, 60)}'`;
  throw new MalmenError(
    'bad-input',
    `${url}: answered with ${what} where a model's description was expected; is HF_ENDPOINT a model hub, and does a proxy or log-in page stand before it?`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Node says `fetch failed`; the reason is below it. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  return cause instanceof Error && cause.message !== ''
    ? cause.message
    : ((cause as { code?: string })?.code ?? message);
}

/** Transient failures that did not pass are the user's to act on. */
export function unreachable(error: unknown): unknown {
  if (!(error instanceof TransientError)) return error;
  return new MalmenError(
    'unreachable',
    `${error.message}; check the connection and HF_ENDPOINT, and run again: what is there is kept`,
    { cause: error },
  );
}
