// A server on this machine that speaks the hub's protocol: a model's description, what a file is, its bytes, whole or from a
// position on. Large files lie on a second server, as on the hub. It can be told to misbehave.

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
  readonly onStorage: boolean;
}

/** Answers instead of the hub and returns true, or returns false. */
export type Misbehaviour = (request: SeenRequest, response: ServerResponse) => boolean;

export const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
export const gitSha1 = (bytes: Uint8Array) =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

export const commit = '0123456789abcdef0123456789abcdef01234567';

export class FakeHub {
  readonly id = 'owner/model';
  readonly requests: SeenRequest[] = [];
  readonly files: Map<string, Buffer>;
  /** Asked first, in this order, until one answers. */
  readonly misbehaviours: Misbehaviour[] = [];
  /** Stated instead of the true hash. */
  readonly falseHashes = new Map<string, string>();
  /** After so many bytes the connection is dropped, one number for each connection, from the first on. */
  readonly drops = new Map<string, number[]>();
  ignoresRange = false;
  readonly #hub: Server;
  readonly #storage: Server;

  private constructor(files: Readonly<Record<string, Uint8Array>>) {
    this.files = new Map(Object.entries(files).map(([name, bytes]) => [name, Buffer.from(bytes)]));
    this.#hub = createServer((request, response) => this.#answer(request, response, false));
    this.#storage = createServer((request, response) => this.#answer(request, response, true));
  }

  static async start(files: Readonly<Record<string, Uint8Array>>): Promise<FakeHub> {
    const hub = new FakeHub(files);
    for (const server of [hub.#hub, hub.#storage]) {
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    }
    return hub;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#storage]) {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    }
  }

  /** Requests for a file's bytes. */
  fetches(name: string): SeenRequest[] {
    const bytes = this.files.get(name)!;
    return this.requests.filter(({ method, path, onStorage }) => {
      return (
        method === 'GET' && (onStorage ? path === `/blob/${sha256(bytes)}` : isSmall(name) && path.endsWith(`/${name}`))
      );
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse, onStorage: boolean): void {
    const { method = '', url: path = '', headers } = request;
    const seen = { method, path, range: headers.range, authorization: headers.authorization, onStorage };
    this.requests.push(seen);
    if (this.misbehaviours.some((misbehave) => misbehave(seen, response))) return;
    if (onStorage) this.#sendStored(seen, response);
    else if (path.startsWith(`/api/models/${this.id}/revision/`)) this.#describe(path, response);
    else this.#resolve(seen, response);
  }

  #describe(path: string, response: ServerResponse): void {
    if (!['main', commit].includes(path.split('/').at(-1)!)) {
      return void response.writeHead(404, { 'x-error-code': 'RevisionNotFound' }).end();
    }
    const siblings = [...this.files.keys()].map((rfilename) => ({ rfilename }));
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ id: this.id, sha: commit, siblings }));
  }

  #resolve(seen: SeenRequest, response: ServerResponse): void {
    const name = seen.path.replace(`/${this.id}/resolve/${commit}/`, '');
    const bytes = this.files.get(name);
    if (!bytes) return void response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
    response.setHeader('x-repo-commit', commit);
    if (isSmall(name)) {
      response.setHeader('etag', `W/"${this.falseHashes.get(name) ?? gitSha1(bytes)}"`);
      this.#send(name, bytes, seen, response);
      return;
    }
    response.writeHead(302, {
      location: `http://127.0.0.1:${(this.#storage.address() as AddressInfo).port}/blob/${sha256(bytes)}`,
      'x-linked-etag': `"${this.falseHashes.get(name) ?? sha256(bytes)}"`,
      'x-linked-size': bytes.length,
    });
    response.end();
  }

  #sendStored(seen: SeenRequest, response: ServerResponse): void {
    const [name, bytes] = [...this.files].find(([, content]) => seen.path === `/blob/${sha256(content)}`)!;
    this.#send(name, bytes, seen, response);
  }

  #send(name: string, bytes: Buffer, { method, range }: SeenRequest, response: ServerResponse): void {
    const from = this.ignoresRange ? 0 : Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    const part = bytes.subarray(from);
    response.statusCode = from > 0 ? 206 : 200;
    if (from > 0) response.setHeader('content-range', `bytes ${from}-${bytes.length - 1}/${bytes.length}`);
    response.setHeader('content-length', part.length);
    if (method === 'HEAD') return void response.end();
    const drop = this.drops.get(name)?.shift();
    if (drop === undefined) return void response.end(part);
    response.write(part.subarray(0, drop), () => setTimeout(() => response.destroy(), 20));
  }
}

const isSmall = (name: string) => name.endsWith('.json');
