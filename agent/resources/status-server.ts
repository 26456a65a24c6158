/**
 * Answers `status` over the local socket: one connection, one JSON document, end.
 *
 * Guarantees: at most eight askers at a time and two seconds for each, so that nobody at the
 * device can hold the agent up; nothing is read from them; the document holds no secrets.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from 'pino';
import { messageOf } from '@runnel/shared/errors.ts';

const ASKERS_MAX = 8;
const ANSWER_MS_MAX = 2000;

export interface StatusServer {
  close(): Promise<void>;
}

/** The data directory's lock is held, so a socket that is there already is a dead agent's. */
export async function serveStatus(
  path: string,
  read: () => Promise<unknown>,
  log: Logger,
): Promise<StatusServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', (error) => log.debug({ error: messageOf(error) }, 'status socket'));
    read().then(
      (status) => socket.end(`${JSON.stringify(status)}\n`),
      (error: unknown) => {
        log.warn({ error: messageOf(error) }, 'status could not be read');
        socket.destroy();
      },
    );
  });
  server.maxConnections = ASKERS_MAX;
  if (process.platform !== 'win32') await rm(path, { force: true });
  await listen(server, path);
  if (process.platform !== 'win32') await chmod(path, 0o600);
  server.unref();
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
