/** Listens for the application, websockets included, and ends without leaving sockets behind. */
import type { AddressInfo, Socket } from 'node:net';
import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { serve, type WebSocketServerLike } from '@hono/node-server';
import { RunnelError } from '@runnel/shared/errors.ts';
import { WebSocketServer } from 'ws';
import type { App } from './app.ts';

export interface HttpServer {
  readonly host: string;
  readonly port: number;
  /** Stops listening, lets requests under way end for a moment, then cuts what is left. */
  close(): Promise<void>;
}

/** A request over the websocket names one view; anything larger is not ours. */
const SOCKET_PAYLOAD_BYTES_MAX = 4096;

/**
 * How long a connection may be idle. Node's five seconds are about the time after which clients use
 * one again, and a request that meets its end is lost: clients and proxies (a minute) end it first.
 */
const KEEP_ALIVE_MS = 75_000;

/** Errors: `http_port_taken`, `http_listen`. */
export async function listen(app: App, host: string, port: number): Promise<HttpServer> {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: SOCKET_PAYLOAD_BYTES_MAX });
  const server = await new Promise<Server>((resolve, reject) => {
    const started = serve(
      {
        fetch: app.fetch,
        hostname: host,
        port,
        websocket: { server: sockets as unknown as WebSocketServerLike },
      },
      () => resolve(started as Server),
    );
    started.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  const answering = new WeakSet<Duplex>();
  server.on('request', ({ socket }, response) => {
    answering.add(socket);
    response.once('close', () => answering.delete(socket));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    // An answer that has begun is not continued with another one.
    if (answering.has(socket) || !socket.writable) socket.destroy();
    else refuse(error, socket);
  });
  const address = server.address() as AddressInfo;
  return { host, port: address.port, close: () => close(server, sockets) };
}

const TOO_LONG =
  '<!doctype html><html lang="en"><meta charset="utf-8"><title>Too long · Runnel</title>' +
  '<h1>This address is too long</h1><p>No page of the control plane has such a long one. ' +
  '<a href="/">To the overview</a></p></html>';

const REFUSED: Readonly<Record<string, readonly [status: string, body?: string]>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', TOO_LONG],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout'],
};

/**
 * What is no request that we can read; the connection ends. A browser shows nothing of its own for
 * an answer without a body, so that whoever followed an address that is too long is told so, and
 * led on. One that opened a connection ahead and sent nothing is told by 408 that it may ask again.
 */
function refuse({ code = '' }: NodeJS.ErrnoException, socket: Socket): void {
  const [status, body = ''] = REFUSED[code] ?? (code.startsWith('HPE_') ? ['400 Bad Request'] : []);
  if (status === undefined) {
    socket.destroy();
    return;
  }
  socket.write(
    [
      `HTTP/1.1 ${status}`,
      'content-type: text/html; charset=utf-8',
      "content-security-policy: default-src 'none'",
      'x-content-type-options: nosniff',
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
  socket.destroySoon();
}

function listenError(cause: NodeJS.ErrnoException, host: string, port: number): RunnelError {
  if (cause.code === 'EADDRINUSE') {
    return new RunnelError('http_port_taken', `something else listens on ${host}:${port}`, {
      cause,
      hint: 'choose another address with --http HOST:PORT',
    });
  }
  return new RunnelError('http_listen', `cannot listen on ${host}:${port}: ${cause.message}`, {
    cause,
  });
}

async function close(server: Server, sockets: WebSocketServer): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const socket of sockets.clients) socket.terminate();
  sockets.close();
  server.closeAllConnections();
  await closed;
}
