/**
 * `GET /metrics` for Prometheus, only when asked for, on the address asked for (loopback by
 * convention: it has no login). Everything else is 404; a slow reader is dropped after ten seconds.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, RunnelError } from '@runnel/shared/errors.ts';
import type { HostPort } from '../config/address.ts';

const ANSWER_MS_MAX = 10_000;

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Errors: `metrics_listen` when the address is taken or not ours. */
export async function serveMetrics(
  listen: HostPort,
  text: () => Promise<string>,
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.url?.split('?')[0] !== '/metrics' || request.method !== 'GET') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('try GET /metrics\n');
      return;
    }
    text().then(
      (body) =>
        response
          .writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
          .end(body),
      (error: unknown) =>
        response.writeHead(500, { 'content-type': 'text/plain' }).end(`${messageOf(error)}\n`),
    );
  });
  server.requestTimeout = ANSWER_MS_MAX;
  server.headersTimeout = ANSWER_MS_MAX;
  server.maxConnections = 8;
  await opened(server, listen);
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function opened(server: Server, { host, port }: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new RunnelError('metrics_listen', `metrics on ${host}:${port}: ${messageOf(error)}`, {
          cause: error,
          hint: 'give another address with --metrics HOST:PORT',
        }),
      );
    });
    server.listen(port, host, resolve);
  });
}
