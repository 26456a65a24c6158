/**
 * HTTP for one attempt of a task.
 *
 * Over node:http and node:https and not the global fetch, because fetch lets nobody choose the
 * certificates of one request or bound the time of connecting, and follows redirects before policy
 * could judge them.
 *
 * Guarantees: every host that a connection is made to, redirects included, was allowed by policy;
 * `auth` goes only to the origin that the settings name; a request that may change something
 * carries `Idempotency-Key`; the answer is bounded while it is read, unpacked ones by what they
 * unpack to; everything ends when the attempt's signal aborts.
 */
import { readFile } from 'node:fs/promises';
import {
  Agent,
  type IncomingMessage,
  type RequestOptions,
  request as requestHttp,
} from 'node:http';
import { Agent as SecureAgent, request as requestHttps } from 'node:https';
import type { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import type { HttpTaskConfig } from '@runnel/shared/definitions/tasks/http.ts';
import { messageOf } from '@runnel/shared/errors.ts';
import type { TaskContext } from '../tasks/task.ts';
import { TaskError, taskErrorOf } from '../tasks/task-error.ts';
import { type HttpAnswer, placeOf } from './http-answer.ts';

export type HttpSettings = Pick<
  HttpTaskConfig,
  'url' | 'headers' | 'query' | 'auth' | 'ca' | 'connectTimeout' | 'redirects'
>;

type Context = Pick<TaskContext, 'services' | 'signal' | 'clock'>;

export interface HttpCall {
  readonly method: string;
  /** Query of the settings not yet added. */
  readonly url: URL;
  readonly body?: HttpBody | undefined;
  readonly bodyMax: number;
  /** Of the answer: what a page's request asks for. */
  readonly accept: string;
  /** On methods that change something. */
  readonly idempotencyKey?: string | undefined;
}

export interface HttpBody {
  readonly type: string;
  readonly bytes: Buffer;
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const KEEPS_METHOD = new Set([307, 308]);

/** A text as it is, anything else as JSON; undefined stays. */
export function httpBody(body: unknown): HttpBody | undefined {
  if (body === undefined) return undefined;
  return typeof body === 'string'
    ? { type: 'text/plain; charset=utf-8', bytes: Buffer.from(body) }
    : { type: 'application/json', bytes: Buffer.from(JSON.stringify(body)) };
}

type QueryValue = string | number | boolean | readonly (string | number | boolean)[];

/** The URL with these parameters in place of those of the same name. */
export function withQuery(url: URL, query: Readonly<Record<string, QueryValue>>): URL {
  const next = new URL(url);
  for (const [name, value] of Object.entries(query)) {
    next.searchParams.delete(name);
    for (const each of [value].flat()) next.searchParams.append(name, String(each));
  }
  return next;
}

export class HttpClient {
  readonly #settings: HttpSettings;
  readonly #context: Context;
  readonly #plain = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #secure: SecureAgent;
  readonly #login: Readonly<Record<string, string>>;
  readonly #origin: string;

  private constructor(settings: HttpSettings, context: Context, ca: Buffer | undefined) {
    this.#settings = settings;
    this.#context = context;
    const trusted = ca === undefined ? {} : { ca };
    this.#secure = new SecureAgent({ keepAlive: true, maxSockets: 1, ...trusted });
    this.#login = loginOf(settings.auth, context);
    this.#origin = new URL(settings.url).origin;
  }

  /** Reads credentials and certificates. Close it when the attempt ends. */
  static async open(settings: HttpSettings, context: Context): Promise<HttpClient> {
    const { ca } = settings;
    const path = ca === undefined ? undefined : context.services.policy.path(ca);
    return new HttpClient(settings, context, path === undefined ? undefined : await readPem(path));
  }

  close(): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }

  /** The settings' own URL with their query. */
  get url(): URL {
    return withQuery(new URL(this.#settings.url), this.#settings.query);
  }

  /** Any status is an answer. Throws `TaskError`: `network`, `policy`, `resources`, `rejected`. */
  async send(call: HttpCall): Promise<HttpAnswer> {
    const { redirects } = this.#settings;
    let { method, url, body } = call;
    for (let hops = 0; ; hops += 1) {
      const response = await this.#exchange({ ...call, method, url, body });
      const { statusCode: status = 0, headers } = response;
      const { location } = headers;
      if (!REDIRECTS.has(status) || location === undefined || redirects === 0) {
        return { status, headers, url, body: await this.#read(response, call.bodyMax, url) };
      }
      response.destroy();
      if (hops >= redirects) {
        const told = `${placeOf(call.url)} redirects more than ${redirects} times`;
        throw new TaskError('rejected', 'http_redirects', told);
      }
      url = redirectTarget(location, url);
      if (!KEEPS_METHOD.has(status) && method !== 'GET' && method !== 'HEAD') {
        method = 'GET';
        body = undefined;
      }
    }
  }

  #headers({ method, url, body, accept, idempotencyKey }: HttpCall): Record<string, string> {
    const given = Object.entries(this.#settings.headers).map(([name, value]): [string, string] => [
      name.toLowerCase(),
      String(value),
    ]);
    const changes = method !== 'GET' && method !== 'HEAD';
    return {
      accept,
      'accept-encoding': 'gzip, deflate, br',
      'user-agent': 'runnel-agent',
      ...(body !== undefined && { 'content-type': body.type }),
      ...Object.fromEntries(given),
      ...(body !== undefined && { 'content-length': String(body.bytes.length) }),
      ...(changes && idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
      ...(url.origin === this.#origin && this.#login),
    };
  }

  /** Resolves with the head of the answer; its body is still to be read. */
  async #exchange(call: HttpCall): Promise<IncomingMessage> {
    const { signal, clock, services } = this.#context;
    const { url, method, body } = call;
    services.policy.host(url);
    signal.throwIfAborted();
    const isSecure = url.protocol === 'https:';
    const agent = isSecure ? this.#secure : this.#plain;
    const options: RequestOptions = { method, headers: this.#headers(call), agent, signal };
    const { connectTimeout } = this.#settings;
    try {
      return await new Promise<IncomingMessage>((resolve, reject) => {
        const sent = isSecure ? requestHttps(url, options) : requestHttp(url, options);
        sent.once('response', resolve);
        sent.once('error', reject);
        sent.once('socket', (socket) => {
          if (!socket.connecting) return;
          const cancel = clock.after(connectTimeout, () => sent.destroy(tooSlow(connectTimeout)));
          socket.once(isSecure ? 'secureConnect' : 'connect', cancel);
          socket.once('close', cancel);
        });
        sent.end(body?.bytes);
      });
    } catch (error) {
      throw this.#failure(error, url);
    }
  }

  async #read(response: IncomingMessage, bytesMax: number, url: URL): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of unpacked(response) as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > bytesMax) {
          throw new TaskError(
            'resources',
            'response_too_large',
            `${placeOf(url)} answered with more than ${bytesMax} bytes`,
            { hint: 'Ask for less at once (paging), or raise the bound of the task.' },
          );
        }
        chunks.push(chunk);
      }
    } catch (error) {
      throw this.#failure(error, url);
    } finally {
      if (!response.complete) response.destroy();
    }
    return Buffer.concat(chunks);
  }

  #failure(error: unknown, url: URL): TaskError {
    const { signal } = this.#context;
    if (signal.aborted) return taskErrorOf(signal.reason);
    if (error instanceof TaskError) return error;
    const { code } = (error ?? {}) as { code?: unknown };
    const named = typeof code === 'string' ? code : 'http_failed';
    return new TaskError('network', named, `${placeOf(url)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function loginOf(auth: HttpSettings['auth'], { services }: Context): Record<string, string> {
  if (auth === undefined) return {};
  const { bearer, basic, header } = auth;
  const login: Record<string, string> = {};
  if (bearer !== undefined) login.authorization = `Bearer ${services.policy.secret(bearer)}`;
  if (basic !== undefined) {
    const pair = `${basic.username}:${services.policy.secret(basic.password)}`;
    login.authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
  }
  if (header !== undefined) {
    login[header.name.toLowerCase()] = services.policy.secret(header.value);
  }
  return login;
}

function redirectTarget(location: string, from: URL): URL {
  const target = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  const isHttp = target?.protocol === 'http:' || target?.protocol === 'https:';
  if (
    target !== undefined &&
    isHttp &&
    !(from.protocol === 'https:' && target.protocol === 'http:')
  )
    return target;
  throw new TaskError(
    'rejected',
    'http_redirects',
    `${placeOf(from)} redirects to where nothing may be sent: ${location.slice(0, 200)}`,
  );
}

/** Errors of the connection reach the reader through whichever stream it reads. */
function unpacked(response: IncomingMessage): Readable {
  const by = {
    gzip: createGunzip,
    'x-gzip': createGunzip,
    deflate: createInflate,
    br: createBrotliDecompress,
  }[response.headers['content-encoding']?.trim().toLowerCase() ?? ''];
  if (by === undefined) return response;
  const unpacker = by();
  response.once('error', (error) => unpacker.destroy(error));
  response.once('aborted', () => unpacker.destroy(new Error('the connection was lost')));
  return response.pipe(unpacker);
}

function tooSlow(timeoutMs: number): TaskError {
  return new TaskError('network', 'connect_timeout', `no connection within ${timeoutMs} ms`);
}

async function readPem(path: string): Promise<Buffer> {
  return readFile(path).catch((error: unknown) => {
    const message = `cannot read ${path}: ${messageOf(error)}`;
    throw new TaskError('other', 'certificate_missing', message, { cause: error });
  });
}
