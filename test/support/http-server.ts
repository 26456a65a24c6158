/** A real HTTP server of node:http that keeps what it was asked, ended with the test. */
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { readFileSync } from 'node:fs';
import { onTestFinished } from 'vitest';
import type { TlsFiles } from './mosquitto.ts';

export interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface Answered {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Anything but a text or bytes goes out as JSON. */
  readonly body?: unknown;
  /** The connection is cut instead of an answer. */
  readonly cut?: true;
  /** No answer ever comes. */
  readonly hang?: true;
}

export interface HttpServer {
  readonly url: string;
  readonly asked: Asked[];
  /** Cuts every connection. */
  cutAll(): void;
}

export async function httpServer(
  answer: (asked: Asked, count: number) => Answered | Promise<Answered>,
  tls?: TlsFiles,
): Promise<HttpServer> {
  const asked: Asked[] = [];
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '/', headers } = request;
      const body = Buffer.concat(chunks).toString();
      const at = { method, url: new URL(url, 'http://server'), headers, body };
      asked.push(at);
      void Promise.resolve(answer(at, asked.length)).then((said) => {
        if (said.hang === true) return;
        if (said.cut === true) {
          request.socket.destroy();
          return;
        }
        const isRaw = typeof said.body === 'string' || Buffer.isBuffer(said.body);
        response.writeHead(said.status ?? 200, said.headers);
        response.end(isRaw || said.body === undefined ? said.body : JSON.stringify(said.body));
      });
    });
  };
  const server =
    tls === undefined
      ? createServer(listener)
      : createSecureServer({ cert: readFileSync(tls.cert), key: readFileSync(tls.key) }, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const host = tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
  return { url: host, asked, cutAll: () => server.closeAllConnections() };
}
