/**
 * JSON over HTTP to the control plane, for enrolment and renewal only.
 *
 * On node:http rather than `fetch`: loading fetch's machinery costs an idle agent megabytes, and a
 * private CA needs no extra package here. Every failure has a code, says what was tried, and how
 * to mend it; redirects are refused, since a token must not travel to another host.
 */
import type { IncomingMessage, RequestOptions } from 'node:http';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';

export interface HttpJsonOptions {
  /** Base address of the control plane; may have a path when it is behind a proxy. */
  readonly baseUrl: string;
  /** PEM of a private CA for HTTPS. */
  readonly ca?: string | undefined;
  readonly timeoutMs?: number;
  /** Address of this machine to send from; without it the system chooses. */
  readonly localAddress?: string;
}

const TIMEOUT_MS = 15_000;
const REPLY_BYTES_MAX = 1024 * 1024;

/** An abort rejects with `unreachable`. */
export type PostJson = (path: string, body: unknown, signal?: AbortSignal) => Promise<unknown>;

/** `path` is relative to the base: `api/v1/enroll`. */
export function jsonPoster(options: HttpJsonOptions): PostJson {
  const base = parseBase(options.baseUrl);
  return async (path, body, signal) => {
    const url = new URL(path, base);
    const response = await send(url, JSON.stringify(body), options, signal);
    const text = await readBody(response, url);
    return readReply(url, response, text);
  };
}

function parseBase(text: string): URL {
  let url: URL;
  try {
    url = new URL(text.endsWith('/') ? text : `${text}/`);
  } catch (error) {
    throw new RunnelError('url_invalid', `not an address: ${text}`, {
      cause: error,
      hint: 'give it as http://HOST:PORT or https://HOST',
    });
  }
  if (url.protocol === 'http:' || url.protocol === 'https:') return url;
  throw new RunnelError('url_invalid', `not an http or https address: ${text}`, {
    hint: 'give it as http://HOST:PORT or https://HOST',
  });
}

async function send(
  url: URL,
  body: string,
  options: HttpJsonOptions,
  signal: AbortSignal | undefined,
): Promise<IncomingMessage> {
  const { request } =
    url.protocol === 'https:' ? await import('node:https') : await import('node:http');
  const settings: RequestOptions & { ca?: string } = {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      'content-length': Buffer.byteLength(body),
    },
    timeout: options.timeoutMs ?? TIMEOUT_MS,
    agent: false,
    ...(signal === undefined ? {} : { signal }),
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(url, settings, resolve);
    outgoing.once('timeout', () => outgoing.destroy(new Error('timed out')));
    outgoing.once('error', (error) => reject(connectionError(url, error)));
    outgoing.end(body);
  });
}

const TLS_CODES =
  /CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|ERR_TLS|ERR_SSL|EPROTO|HOSTNAME_MISMATCH/;

function connectionError(url: URL, error: Error): RunnelError {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const isPlain = code === 'EPROTO' || code.startsWith('ERR_SSL');
  const why = isPlain ? 'the answer is not TLS' : messageOf(error) || code;
  if (TLS_CODES.test(code)) {
    return new RunnelError('tls', `no secure connection to ${url.origin}: ${why}`, {
      retry: 'backoff',
      cause: error,
      hint: isPlain
        ? 'the server may speak plain HTTP: try http://'
        : "give the private CA's certificate with --ca FILE, and check the device's clock",
    });
  }
  return new RunnelError('unreachable', `${url.origin} cannot be reached: ${why}`, {
    retry: 'backoff',
    cause: error,
    hint: 'check the address, and that the control plane runs and no firewall is in between',
  });
}

async function readBody(response: IncomingMessage, url: URL): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.byteLength;
      if (bytes > REPLY_BYTES_MAX) {
        response.destroy();
        throw new RunnelError(
          'protocol',
          `${url.href} answered more than ${REPLY_BYTES_MAX} bytes`,
        );
      }
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof RunnelError ? error : connectionError(url, error as Error);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function readReply(url: URL, response: IncomingMessage, text: string): unknown {
  const status = response.statusCode ?? 0;
  if (status >= 300 && status < 400) {
    const to = response.headers.location ?? 'nowhere';
    throw new RunnelError('redirected', `${url.href} redirects to ${to}`, {
      hint: 'give the address that it redirects to',
    });
  }
  const value = parse(text);
  if (status >= 200 && status < 300) {
    if (value !== undefined) return value;
    throw new RunnelError('protocol', `${url.href} did not answer with JSON`, {
      retry: 'backoff',
      hint: 'check that the address is that of a Runnel control plane',
    });
  }
  throw problemError(url, status, value);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Not JSON: the caller tells from the status what to say.
    return undefined;
  }
}

/** problem+json names its `code`; anything else is described by its status. */
function problemError(url: URL, status: number, value: unknown): RunnelError {
  const problem = (typeof value === 'object' ? value : null) as Record<string, unknown> | null;
  const code = typeof problem?.code === 'string' ? problem.code : `http_${status}`;
  const detail = problem?.detail ?? problem?.title;
  const message = typeof detail === 'string' ? detail : `${url.href} answered ${status}`;
  const hint =
    typeof problem?.hint === 'string'
      ? problem.hint
      : status === 404
        ? 'check that the address is that of a Runnel control plane'
        : undefined;
  return new RunnelError(code, message, {
    retry: status >= 500 || status === 429 ? 'backoff' : 'never',
    fields: { status },
    ...(hint === undefined ? {} : { hint }),
  });
}
