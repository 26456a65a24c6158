/**
 * The other side of the HTTP tasks: keeps effects by Idempotency-Key, as a receiver that
 * deduplicates does, and remembers when a key came with another body. The first path segment is a
 * round's own.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ORDERS_PER_PAGE, orders } from './crash-job.ts';

export interface Effect {
  readonly path: string;
  readonly body: string;
}

export class Receiver {
  readonly #server: Server;
  readonly #effects = new Map<string, Map<string, Effect>>();
  readonly #wrong = new Map<string, string[]>();
  readonly #flaky = new Set<string>();

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      // A sender that is killed leaves half a request: it has no effect.
      request.on('error', () => response.destroy());
      request.on('end', () => this.#answer(request, response, Buffer.concat(chunks).toString()));
    });
  }

  static async start(): Promise<Receiver> {
    const receiver = new Receiver();
    await new Promise<void>((resolve) => receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  url(round: string): string {
    const address = this.#server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    return `http://127.0.0.1:${port}/${round}`;
  }

  /** By key. */
  effects(round: string): ReadonlyMap<string, Effect> {
    return this.#effects.get(round) ?? new Map();
  }

  /** What no receiver can put right: a key with two bodies, an effect without a key. */
  wrong(round: string): readonly string[] {
    return this.#wrong.get(round) ?? [];
  }

  #answer(request: IncomingMessage, response: ServerResponse, body: string): void {
    const url = new URL(request.url ?? '/', 'http://receiver');
    const [, round = '', path = ''] = url.pathname.split('/');
    const say = (status: number, value: unknown = { ok: true }): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    if (request.method === 'GET') {
      say(200, page(url.searchParams));
      return;
    }
    if (path === 'refuse') {
      say(400, { error: 'no' });
      return;
    }
    if (path === 'flaky' && !this.#flaky.has(round)) {
      this.#flaky.add(round);
      say(503, { error: 'later' });
      return;
    }
    this.#take(round, path, request.headers['idempotency-key'], body);
    say(200);
  }

  #take(round: string, path: string, key: string | string[] | undefined, body: string): void {
    const wrong = this.#wrong.get(round) ?? [];
    this.#wrong.set(round, wrong);
    if (typeof key !== 'string') {
      wrong.push(`${path} came without an Idempotency-Key`);
      return;
    }
    const effects = this.#effects.get(round) ?? new Map<string, Effect>();
    this.#effects.set(round, effects);
    const known = effects.get(key);
    if (known === undefined) {
      effects.set(key, { path, body });
      return;
    }
    if (known.path !== path || known.body !== body) {
      wrong.push(`${key} came as ${known.path} ${known.body} and as ${path} ${body}`);
    }
  }
}

function page(query: URLSearchParams): unknown {
  const since = Number(query.get('since') ?? 0);
  const number = Number(query.get('page') ?? 1);
  const beyond = orders().filter(({ id }) => id > since);
  return beyond.slice((number - 1) * ORDERS_PER_PAGE, number * ORDERS_PER_PAGE);
}
