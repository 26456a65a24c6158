/**
 * Where the embedded NATS server listens. Devices remember the address, so a port that was chosen
 * once is kept; an address that a person gave is taken as it is or refused.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Clock } from '@runnel/shared/clock.ts';
import { RunnelError } from '@runnel/shared/errors.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const DEFAULT: ListenAddress = { host: '127.0.0.1', port: 4222 };

/**
 * `HOST:PORT`, `[::1]:4222`, `:4222` (every interface) or a port alone; port 0 is any free one.
 * Error: `nats_listen`.
 */
export function parseListen(text: string): ListenAddress {
  const found = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text);
  const port = Number(found?.[3]);
  if (found === null || port > 65_535) {
    throw new RunnelError('nats_listen', `not an address to listen on: ${JSON.stringify(text)}`, {
      hint: 'write HOST:PORT, such as 0.0.0.0:4222',
    });
  }
  const named = found[1] ?? found[2];
  if (named === undefined) return { host: DEFAULT.host, port };
  return { host: named === '' ? '0.0.0.0' : named, port };
}

/**
 * The address given; with port 0 there the port kept in `portFile`, else a free one. Without one
 * the kept port, else 4222, else a free one. What was chosen here is kept. Error:
 * `nats_port_taken` when the given one is.
 */
export async function chooseListen(
  given: ListenAddress | undefined,
  portFile: string,
): Promise<{ readonly address: ListenAddress; readonly moved: boolean }> {
  if (given !== undefined && given.port !== 0) {
    if (await isFree(given)) return { address: given, moved: false };
    throw new RunnelError('nats_port_taken', `${given.host}:${given.port} is taken`, {
      hint: 'stop what listens there, or give another --nats-listen',
    });
  }
  const kept = await keptPort(portFile);
  const { host, port } = given ?? DEFAULT;
  const found = (await listenOnce({ host, port: kept ?? port })) ?? (await freePort(host));
  if (found !== kept) await writeFile(portFile, `${found}\n`);
  return { address: { host, port: found }, moved: kept !== undefined && found !== kept };
}

async function keptPort(portFile: string): Promise<number | undefined> {
  try {
    const port = Number(await readFile(portFile, 'utf8'));
    return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The port when it is free; undefined when it is taken. */
function listenOnce(address: ListenAddress): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined);
      else reject(error);
    });
    server.listen({ ...address, exclusive: true }, () => {
      const bound = server.address();
      const port = bound === null || typeof bound === 'string' ? undefined : bound.port;
      server.close(() => resolve(port));
    });
  });
}

async function isFree(address: ListenAddress): Promise<boolean> {
  return (await listenOnce(address)) !== undefined;
}

async function freePort(host: string): Promise<number> {
  const port = await listenOnce({ host, port: 0 });
  if (port === undefined) throw new RunnelError('nats_port_taken', 'this machine has no free port');
  return port;
}

/** Whether a NATS server greets at this address; `timeoutMs` bounds the wait. */
export function greets(address: ListenAddress, timeoutMs: number, clock: Clock): Promise<boolean> {
  const host = address.host === '0.0.0.0' ? '127.0.0.1' : address.host;
  return new Promise((resolve) => {
    const socket = connect({ host: host === '::' ? '::1' : host, port: address.port });
    let text = '';
    const cancel = clock.after(timeoutMs, () => finish(false));
    const finish = (answer: boolean): void => {
      cancel();
      socket.destroy();
      resolve(answer);
    };
    socket.once('error', () => finish(false));
    socket.once('close', () => finish(false));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.length >= 5) finish(text.startsWith('INFO '));
    });
  });
}
